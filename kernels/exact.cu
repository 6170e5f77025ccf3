// Exact line integrals through a volume, for two fields of the same voxels.
//
//     integral = |M (p − s)| · Σ_cells ∫ f(s + t (p − s)) dt    over t in [0, 1]
//
// s is the source, p the pixel, both in voxel index coordinates (x, y, z); M takes index vectors to
// millimetres; the sum runs over the grid cells that the ray crosses, from plane to plane.
//
// exact_box: f is constant in each voxel [i − ½, i + ½): value × length of crossing.
//     R. L. Siddon, "Fast calculation of the exact radiological path for a three-dimensional CT array",
//     Medical Physics 12(2), 1985, 252–255.
// exact_trilinear: f is trilinear between voxel centres and falls to 0 over one voxel beyond the
//     outermost. Along a line inside one cell [i, i + 1] of the voxel-centre grid it is a cubic
//     polynomial, which Gauss–Legendre quadrature with two points integrates exactly.
//
// Every crossing is computed anew from the index of its plane, in double: nothing accumulates.
//
// Layouts: volume (channels, nz, ny, nx) float or unsigned short; cameras (V, 4, 3) as source, centre of
// pixel (0, 0), step along u, step along v; metric (3, 3); out (V, channels, height, width) in value·mm.
// One launch integrates `count` ≤ 4 channels from `first` on. A thread is a pixel, blockIdx.z a view.

struct Ray {
    double sx, sy, sz;  // source, index coordinates
    double dx, dy, dz;  // pixel − source
    double length;      // |pixel − source| in millimetres
};

__device__ inline Ray make_ray(const double* camera, const double* metric, int u, int v) {
    Ray ray = {camera[0], camera[1], camera[2], 0.0, 0.0, 0.0, 0.0};
    ray.dx = camera[3] + u * camera[6] + v * camera[9] - ray.sx;
    ray.dy = camera[4] + u * camera[7] + v * camera[10] - ray.sy;
    ray.dz = camera[5] + u * camera[8] + v * camera[11] - ray.sz;
    const double ex = metric[0] * ray.dx + metric[1] * ray.dy + metric[2] * ray.dz;
    const double ey = metric[3] * ray.dx + metric[4] * ray.dy + metric[5] * ray.dz;
    const double ez = metric[6] * ray.dx + metric[7] * ray.dy + metric[8] * ray.dz;
    ray.length = sqrt(ex * ex + ey * ey + ez * ez);
    return ray;
}

// One axis of a walk through cells [low + i, low + i + 1), i from 0 to cells − 1.
struct Axis {
    double source, inverse, low, next;  // next: parameter t of the coming plane
    int cells, index, step, ahead;      // ahead: 1 where the coming plane is the upper one

    // Narrow [enter, leave]; false where the ray runs beside the grid.
    __device__ bool clip(double s, double d, double lowest, int n, double& enter, double& leave) {
        source = s;
        low = lowest;
        cells = n;
        step = d == 0.0 ? 0 : d > 0.0 ? 1 : -1;
        ahead = d > 0.0;
        if (step == 0) return s >= low && s < low + n;
        inverse = 1.0 / d;
        const double a = (low - s) * inverse, b = (low + n - s) * inverse;
        enter = fmax(enter, fmin(a, b));
        leave = fmin(leave, fmax(a, b));
        return true;
    }
    __device__ void start(double d, double t) {
        index = (int)fmin(fmax(floor(source + t * d - low), 0.0), cells - 1.0);
        plan();
    }
    __device__ void plan() { next = step == 0 ? 1e300 : (low + (index + ahead) - source) * inverse; }
    __device__ bool advance() {
        index += step;
        plan();
        return index >= 0 && index < cells;
    }
};

// Calls visit(a, b, x, y, z) for the part t in [a, b] of the ray in each cell (x, y, z) that it crosses.
template <typename Visit>
__device__ inline void walk(const Ray& ray, double low, int cx, int cy, int cz, Visit visit) {
    Axis x, y, z;
    double a = 0.0, leave = 1.0;
    if (!x.clip(ray.sx, ray.dx, low, cx, a, leave)) return;
    if (!y.clip(ray.sy, ray.dy, low, cy, a, leave)) return;
    if (!z.clip(ray.sz, ray.dz, low, cz, a, leave)) return;
    if (!(a < leave)) return;
    x.start(ray.dx, a);
    y.start(ray.dy, a);
    z.start(ray.dz, a);
    for (;;) {
        const double b = fmin(fmin(x.next, y.next), fmin(z.next, leave));
        if (b > a) {
            visit(a, b, x.index, y.index, z.index);
            a = b;
        }
        if (!(b < leave)) return;
        const bool is_x = x.next <= y.next && x.next <= z.next;
        if (!(is_x ? x.advance() : y.next <= z.next ? y.advance() : z.advance())) return;
    }
}

template <typename T>
struct Volume {
    const T* values;
    int count, nx, ny, nz;

    __device__ void add_box(double a, double b, int x, int y, int z, double (&sums)[4]) const {
        const long long voxels = (long long)nx * ny * nz, at = ((long long)z * ny + y) * nx + x;
#pragma unroll
        for (int k = 0; k < 4; ++k) {
            if (k < count) sums[k] += (b - a) * values[k * voxels + at];
        }
    }

    // The cell (x, y, z) lies between voxels x − 1 and x, y − 1 and y, z − 1 and z.
    __device__ void add_trilinear(const Ray& ray, double a, double b, int x, int y, int z, double (&sums)[4]) const {
        const double middle = 0.5 * (a + b), half = 0.5 * (b - a), root = 0.57735026918962576451;  // 1 / √3
        double fx[2], fy[2], fz[2];
        for (int q = 0; q < 2; ++q) {
            const double t = q == 0 ? middle - root * half : middle + root * half;
            fx[q] = ray.sx + t * ray.dx - (x - 1);
            fy[q] = ray.sy + t * ray.dy - (y - 1);
            fz[q] = ray.sz + t * ray.dz - (z - 1);
        }
        const long long voxels = (long long)nx * ny * nz;
#pragma unroll
        for (int corner = 0; corner < 8; ++corner) {
            const int ox = corner & 1, oy = corner >> 1 & 1, oz = corner >> 2;
            const int vx = x - 1 + ox, vy = y - 1 + oy, vz = z - 1 + oz;
            if (vx < 0 || vx >= nx || vy < 0 || vy >= ny || vz < 0 || vz >= nz) continue;
            double weight = 0.0;
            for (int q = 0; q < 2; ++q) {
                weight += (ox ? fx[q] : 1.0 - fx[q]) * (oy ? fy[q] : 1.0 - fy[q]) * (oz ? fz[q] : 1.0 - fz[q]);
            }
            const long long at = ((long long)vz * ny + vy) * nx + vx;
#pragma unroll
            for (int k = 0; k < 4; ++k) {
                if (k < count) sums[k] += half * weight * values[k * voxels + at];
            }
        }
    }
};

template <typename T, bool TRILINEAR>
__device__ inline void integrate(const T* values, int nx, int ny, int nz, const double* cameras, const double* metric,
                                 int height, int width, int first, int count, int channels, float* out) {
    const int u = blockIdx.x * blockDim.x + threadIdx.x;
    const int v = blockIdx.y * blockDim.y + threadIdx.y;
    const int view = blockIdx.z;
    if (u >= width || v >= height) return;

    const Ray ray = make_ray(cameras + 12 * (long long)view, metric, u, v);
    const Volume<T> volume = {values + (long long)first * nx * ny * nz, count, nx, ny, nz};
    double sums[4] = {};
    if constexpr (TRILINEAR) {
        walk(ray, -1.0, nx + 1, ny + 1, nz + 1,
             [&](double a, double b, int x, int y, int z) { volume.add_trilinear(ray, a, b, x, y, z, sums); });
    } else {
        walk(ray, -0.5, nx, ny, nz,
             [&](double a, double b, int x, int y, int z) { volume.add_box(a, b, x, y, z, sums); });
    }

    const long long plane = (long long)height * width;
    float* pixel = out + ((long long)view * channels + first) * plane + (long long)v * width + u;
#pragma unroll
    for (int k = 0; k < 4; ++k) {
        if (k < count) pixel[k * plane] = (float)(sums[k] * ray.length);
    }
}

#define EXACT_KERNEL(NAME, T, TRILINEAR)                                                                           \
    extern "C" __global__ void __launch_bounds__(256)                                                              \
        NAME(const T* __restrict__ volume, int nx, int ny, int nz, const double* __restrict__ cameras,             \
             const double* __restrict__ metric, int height, int width, int first, int count, int channels,         \
             float* __restrict__ out) {                                                                            \
        integrate<T, TRILINEAR>(volume, nx, ny, nz, cameras, metric, height, width, first, count, channels, out);  \
    }

EXACT_KERNEL(exact_box_float32, float, false)
EXACT_KERNEL(exact_box_uint16, unsigned short, false)
EXACT_KERNEL(exact_trilinear_float32, float, true)
EXACT_KERNEL(exact_trilinear_uint16, unsigned short, true)
