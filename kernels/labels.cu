// Length of every ray inside every label of a label map.
//
//     out[label] = |M (p − s)| · Σ (b − a)    over the voxels [i − ½, i + ½) of that label
//
// s is the source, p the pixel, both in voxel index coordinates (x, y, z); M takes index vectors to
// millimetres; [a, b] is the part of the segment, as a fraction of it, that lies in a voxel.
//
// Source: R. L. Siddon, "Fast calculation of the exact radiological path for a three-dimensional CT
// array", Medical Physics 12(2), 1985, 252–255. Every crossing is computed anew from the index of its
// plane, in double: nothing accumulates.
//
// Neighbouring voxels mostly share a label, so a run of them is kept in a register and written once. A
// thread owns its pixel in every row of out, so a plain += will do. Label 0 is background and labels from
// n_labels on are unknown: neither is written.
//
// Layouts: labels (nz, ny, nx) unsigned char or short; cameras (V, 4, 3) as source, centre of pixel (0, 0),
// step along u, step along v; metric (3, 3); out (V, n_labels, height, width), zeros on entry, in mm.
// blockIdx.z is the view.

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

// The row of the current label grows until another label begins.
struct Run {
    float* pixel;      // out at label 0 of this pixel
    long long plane;   // from one label to the next
    double length;     // of the whole ray, in millimetres
    int n_labels;
    int label;
    double fraction;

    __device__ void flush() {
        if (label > 0 && label < n_labels) pixel[label * plane] += (float)(fraction * length);
        fraction = 0.0;
    }
    __device__ void extend(int next, double part) {
        if (next != label) {
            flush();
            label = next;
        }
        fraction += part;
    }
};

template <typename T>
__device__ inline void measure(const T* labels, int nx, int ny, int nz, const double* cameras, const double* metric,
                               int height, int width, int n_labels, float* out) {
    const int u = blockIdx.x * blockDim.x + threadIdx.x;
    const int v = blockIdx.y * blockDim.y + threadIdx.y;
    const int view = blockIdx.z;
    if (u >= width || v >= height) return;

    const Ray ray = make_ray(cameras + 12 * (long long)view, metric, u, v);
    const long long plane = (long long)height * width;
    float* pixel = out + (long long)view * n_labels * plane + (long long)v * width + u;
    Run run = {pixel, plane, ray.length, n_labels, 0, 0.0};
    walk(ray, -0.5, nx, ny, nz, [&](double a, double b, int x, int y, int z) {
        run.extend(labels[((long long)z * ny + y) * nx + x], b - a);
    });
    run.flush();
}

#define LABELS_KERNEL(NAME, T)                                                                                     \
    extern "C" __global__ void __launch_bounds__(256)                                                              \
        NAME(const T* __restrict__ labels, int nx, int ny, int nz, const double* __restrict__ cameras,             \
             const double* __restrict__ metric, int height, int width, int n_labels, float* __restrict__ out) {    \
        measure<T>(labels, nx, ny, nz, cameras, metric, height, width, n_labels, out);                             \
    }

LABELS_KERNEL(label_lengths_uint8, unsigned char)
LABELS_KERNEL(label_lengths_uint16, unsigned short)
