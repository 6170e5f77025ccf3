// Fraction of every voxel inside a closed surface, from lines along z, oversample² of them a voxel.
//
//     inside(k) = Σ ± clip(z − k, 0, 1)    over the triangles that a line crosses
//
// is the length of the line inside voxel k, which spans [k, k + 1]: + where the surface ends, − where it begins, as
// for the rays of mesh.cu; the fraction is its mean over the voxel's lines. With z in voxel f, a crossing counts z − f
// there and 1 in all voxels before. So it adds z − f to f and 1 − (z − f) to f − 1, and a sum from the far end makes
// the fractions of them.
//
// Corners are rounded to 1/16384 of a line's distance, so that edge functions (J. Pineda, "A parallel algorithm for
// polygon rasterization", SIGGRAPH 22(4), 1988, 17–20) are exact integers; a line on an edge counts as moved by
// (+ε, +ε²). Crossings are added as integers, in 2^-32 of a voxel: the sum does not depend on the order in which the
// blocks run.
//
// Two launches: occupancy_crossings, a block a triangle and a thread a row of lines; occupancy_fill, a thread a column
// of voxels.
//
// Layouts: corners (n, 3) as x and y in lines, z in voxels with 0 at the first one's centre; faces (m, 3); crossings
// (nz, ny, nx), zeros on entry; out (nz, ny, nx).

#define FIXED 4294967296.0  // 2^32
#define SUBPIXEL 16384

__device__ inline long long snap(double x) { return (long long)floor(x * SUBPIXEL + 0.5); }

struct Triangle {
    long long a[3], b[3], c[3];  // line (u, v) is inside where a·u + b·v + c >= 0 for all three
    int sign;                    // 1 where the corners turn from +u to +v, −1 where they turn back, 0 without area
    int left, right, top, bottom;

    __device__ Triangle(const double* p, const double* q, const double* r, int rows, int columns) {
        const long long x[3] = {snap(p[0]), snap(q[0]), snap(r[0])}, y[3] = {snap(p[1]), snap(q[1]), snap(r[1])};
        const long long area = (x[1] - x[0]) * (y[2] - y[0]) - (y[1] - y[0]) * (x[2] - x[0]);
        sign = area > 0 ? 1 : area < 0 ? -1 : 0;
        for (int i = 0; i < 3; ++i) {
            const int j = (i + 1) % 3;
            const long long ai = -sign * (y[j] - y[i]), bi = sign * (x[j] - x[i]);
            c[i] = -(ai * x[i] + bi * y[i]) - (ai > 0 || (ai == 0 && bi > 0) ? 0 : 1);  // on the edge is outside
            a[i] = ai * SUBPIXEL;
            b[i] = bi * SUBPIXEL;
        }
        left = (int)fmax(0.0, ceil(low(x) / SUBPIXEL));
        right = (int)fmin(columns - 1.0, floor(high(x) / SUBPIXEL));
        top = (int)fmax(0.0, ceil(low(y) / SUBPIXEL));
        bottom = (int)fmin(rows - 1.0, floor(high(y) / SUBPIXEL));
    }
    __device__ static double low(const long long* x) { return fmin(fmin((double)x[0], (double)x[1]), (double)x[2]); }
    __device__ static double high(const long long* x) { return fmax(fmax((double)x[0], (double)x[1]), (double)x[2]); }

    // The first and last line inside on row v.
    __device__ void span(int v, int& first, int& last) const {
        first = left;
        last = right;
        for (int i = 0; i < 3; ++i) {
            const long long k = b[i] * v + c[i];
            if (a[i] == 0) {
                if (k < 0) last = first - 1;
                continue;
            }
            // The quotient in floating point is off by one at most; integers decide.
            int u = (int)fmin(fmax(floor(-(double)k / (double)a[i]), first - 1.0), last + 1.0);
            if (a[i] > 0) {
                while (u <= last && a[i] * u + k < 0) ++u;
                while (u > first && a[i] * (u - 1) + k >= 0) --u;
                first = u > first ? u : first;
            } else {
                while (u >= first && a[i] * u + k < 0) --u;
                while (u < last && a[i] * (u + 1) + k >= 0) ++u;
                last = u < last ? u : last;
            }
        }
    }
};

// The plane of a triangle: z = z0 + (x·(u − u0) + y·(v − v0)) / area at line (u, v), within [lowest, highest].
struct Plane {
    double u0, v0, z0, x, y, area, lowest, highest;

    __device__ Plane(const double* a, const double* b, const double* c) {
        u0 = a[0];
        v0 = a[1];
        z0 = a[2];
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
        x = (b[2] - a[2]) * (c[1] - a[1]) - (c[2] - a[2]) * (b[1] - a[1]);
        y = (b[0] - a[0]) * (c[2] - a[2]) - (c[0] - a[0]) * (b[2] - a[2]);
        lowest = fmin(a[2], fmin(b[2], c[2]));
        highest = fmax(a[2], fmax(b[2], c[2]));
    }
    __device__ double at(int u, int v) const {
        // A triangle seen edge on has no certain height, but none beyond its corners.
        const double z = area != 0.0 ? z0 + (x * (u - u0) + y * (v - v0)) / area : lowest;
        return fmin(fmax(z, lowest), highest);
    }
};

extern "C" __global__ void __launch_bounds__(256)
    occupancy_crossings(const double* __restrict__ corners, const int* __restrict__ faces, int oversample, int nx,
                        int ny, int nz, unsigned long long* __restrict__ crossings) {
    const int* face = faces + 3 * (long long)blockIdx.x;
    const double *a = corners + 3 * (long long)face[0], *b = corners + 3 * (long long)face[1],
                 *c = corners + 3 * (long long)face[2];
    const Triangle triangle(a, b, c, ny * oversample, nx * oversample);
    if (triangle.sign == 0) return;
    const Plane plane(a, b, c);
    const int stride = blockDim.x * blockDim.y;
    const long long slice = (long long)ny * nx;
    for (int v = triangle.top + threadIdx.y * blockDim.x + threadIdx.x; v <= triangle.bottom; v += stride) {
        int first, last;
        triangle.span(v, first, last);
        for (int u = first; u <= last; ++u) {
            const double z = fmin(plane.at(u, v) + 0.5, (double)nz);
            if (!(z > 0.0)) continue;
            const int k = (int)floor(z);
            const long long whole = (long long)FIXED, steps = (long long)floor((z - k) * FIXED + 0.5);
            unsigned long long* voxel = crossings + k * slice + (long long)(v / oversample) * nx + u / oversample;
            if (k < nz) atomicAdd(voxel, (unsigned long long)(triangle.sign * steps));
            if (k > 0) atomicAdd(voxel - slice, (unsigned long long)(triangle.sign * (whole - steps)));
        }
    }
}

extern "C" __global__ void __launch_bounds__(256)
    occupancy_fill(const unsigned long long* __restrict__ crossings, int oversample, int nx, int ny, int nz,
                   float* __restrict__ out) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x;
    const int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= nx || y >= ny) return;
    long long sum = 0;
    for (int z = nz - 1; z >= 0; --z) {
        const long long voxel = ((long long)z * ny + y) * nx + x;
        sum += (long long)crossings[voxel];
        out[voxel] = (float)((double)sum / (FIXED * oversample * oversample));
    }
}
