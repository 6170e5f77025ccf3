"""Do images show what was asked for: by image–text models, and by readers of conditions."""
