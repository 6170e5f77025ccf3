"""What every room shares: volumes, records, errors, seeds and files. Imports none of the other rooms."""
