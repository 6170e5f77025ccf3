// Joseph's method: line integrals through a volume by one bilinear sample per slice.
//
//     integral ≈ |M (p − s)| / |p_a − s_a| · Σ_j f(x_j),    x_j = s + (j − s_a) / (p_a − s_a) · (p − s)
//
// s is the source, p the pixel, both in voxel index coordinates (x, y, z); M takes index vectors to
// millimetres; a is the slicing axis; j runs over the integer slices between source and pixel; f is
// bilinear in its slice and falls to 0 over one voxel beyond the outermost voxel centres.
//
// Source: P. M. Joseph, "An improved algorithm for reprojecting rays through pixel images",
// IEEE Transactions on Medical Imaging 1(3), 1982, 192–196.
//
// Samples come from a 3D texture (border addressing, coordinates not normalised, texel i at i + ½).
// The slice coordinate always falls on a texel centre, so trilinear filtering is bilinear in the slice.
// Hardware filtering rounds its weights to 1/256: a sample is off by up to 1/512 of the difference of
// its neighbours along each in-plane axis. The `_precise` kernels fetch the four texels and weigh
// them in float. NVIDIA hardware also rounds a filtered sample of a 16-bit texture to a whole stored unit.
//
// Layouts: axes (V,), cameras (V, 4, 3) as source, centre of pixel (0, 0), step along u, step along v;
// metric (3, 3); out (V, channels, height, width) in value·mm. A texture packs 1, 2 or 4 channels, of
// which `count` are written to out from channel `first` on. A thread is a pixel, blockIdx.z a view.

struct Path {
    float x, y, z;     // where the ray meets the first slice, index coordinates
    float dx, dy, dz;  // its advance from slice to slice
    int slices;        // how many slices to sample
    double weight;     // millimetres of ray per slice
};

__device__ inline double pick(int axis, double x, double y, double z) { return axis == 0 ? x : axis == 1 ? y : z; }

// Narrow [first, last] to the slices at which coordinate k of the ray lies in (−1, size).
__device__ inline void clip(double source, double slope, double sliced, int size, double& first, double& last) {
    if (slope == 0.0) {
        if (!(source > -1.0 && source < size)) last = first - 1.0;
        return;
    }
    const double enter = sliced + (-1.0 - source) / slope, leave = sliced + (size - source) / slope;
    first = fmax(first, ceil(fmin(enter, leave)));
    last = fmin(last, floor(fmax(enter, leave)));
}

// Doubles once per ray: a far source would cost a float tenths of a voxel.
__device__ inline Path trace(const double* camera, const double* metric, int axis, int u, int v, int nx, int ny,
                             int nz) {
    const double sx = camera[0], sy = camera[1], sz = camera[2];
    const double px = camera[3] + u * camera[6] + v * camera[9];
    const double py = camera[4] + u * camera[7] + v * camera[10];
    const double pz = camera[5] + u * camera[8] + v * camera[11];
    const double dx = px - sx, dy = py - sy, dz = pz - sz;
    const double s = pick(axis, sx, sy, sz), p = pick(axis, px, py, pz), d = pick(axis, dx, dy, dz);

    Path path = {};
    if (d == 0.0) return path;  // the ray lies in a slice and crosses none
    double first = fmax(0.0, ceil(fmin(s, p)));
    double last = fmin(pick(axis, nx, ny, nz) - 1.0, floor(fmax(s, p)));
    const double mx = dx / d, my = dy / d, mz = dz / d;
    if (axis != 0) clip(sx, mx, s, nx, first, last);
    if (axis != 1) clip(sy, my, s, ny, first, last);
    if (axis == 0 || axis == 1) clip(sz, mz, s, nz, first, last);
    if (!(first <= last)) return path;

    // The slice coordinate must be an integer exactly, not to within rounding.
    path.x = axis == 0 ? (float)first : (float)(sx + (first - s) * mx);
    path.y = axis == 1 ? (float)first : (float)(sy + (first - s) * my);
    path.z = axis == 0 || axis == 1 ? (float)(sz + (first - s) * mz) : (float)first;
    path.dx = (float)mx;
    path.dy = (float)my;
    path.dz = (float)mz;
    path.slices = (int)(last - first) + 1;
    const double ex = metric[0] * dx + metric[1] * dy + metric[2] * dz;
    const double ey = metric[3] * dx + metric[4] * dy + metric[5] * dz;
    const double ez = metric[6] * dx + metric[7] * dy + metric[8] * dz;
    path.weight = sqrt(ex * ex + ey * ey + ez * ez) / fabs(d);
    return path;
}

// sums += weight · the K channels of the texture at (x, y, z), texel i at i + ½
template <int K>
__device__ inline void fetch(cudaTextureObject_t texture, float x, float y, float z, float weight, float (&sums)[K]) {
    if constexpr (K == 1) {
        sums[0] = fmaf(weight, tex3D<float>(texture, x, y, z), sums[0]);
    } else if constexpr (K == 2) {
        const float2 value = tex3D<float2>(texture, x, y, z);
        sums[0] = fmaf(weight, value.x, sums[0]);
        sums[1] = fmaf(weight, value.y, sums[1]);
    } else {
        const float4 value = tex3D<float4>(texture, x, y, z);
        sums[0] = fmaf(weight, value.x, sums[0]);
        sums[1] = fmaf(weight, value.y, sums[1]);
        sums[2] = fmaf(weight, value.z, sums[2]);
        sums[3] = fmaf(weight, value.w, sums[3]);
    }
}

template <int K, bool PRECISE>
__device__ inline void sample(cudaTextureObject_t texture, int axis, float x, float y, float z, float (&sums)[K]) {
    if constexpr (!PRECISE) {
        fetch<K>(texture, x + 0.5f, y + 0.5f, z + 0.5f, 1.0f, sums);
        return;
    }
    const float ix = floorf(x), iy = floorf(y), iz = floorf(z);
    // The two in-plane axes: x and y, but z stands in for the one that is sliced.
    const float fu = axis == 0 ? z - iz : x - ix, fv = axis == 1 ? z - iz : y - iy;
    const float ux = axis == 0 ? 0.0f : 1.0f, uz = axis == 0 ? 1.0f : 0.0f;
    const float vy = axis == 1 ? 0.0f : 1.0f, vz = axis == 1 ? 1.0f : 0.0f;
    const float cx = ix + 0.5f, cy = iy + 0.5f, cz = iz + 0.5f;
    fetch<K>(texture, cx, cy, cz, (1.0f - fu) * (1.0f - fv), sums);
    fetch<K>(texture, cx + ux, cy, cz + uz, fu * (1.0f - fv), sums);
    fetch<K>(texture, cx, cy + vy, cz + vz, (1.0f - fu) * fv, sums);
    fetch<K>(texture, cx + ux, cy + vy, cz + uz + vz, fu * fv, sums);
}

template <int K, bool PRECISE>
__device__ inline void cast_ray(cudaTextureObject_t texture, float scale, int nx, int ny, int nz, const int* axes,
                                const double* cameras, const double* metric, int height, int width, int first,
                                int count, int channels, float* out) {
    const int u = blockIdx.x * blockDim.x + threadIdx.x;
    const int v = blockIdx.y * blockDim.y + threadIdx.y;
    const int view = blockIdx.z;
    if (u >= width || v >= height) return;

    const int axis = axes[view];
    const Path path = trace(cameras + 12 * (long long)view, metric, axis, u, v, nx, ny, nz);
    float sums[K] = {};
#pragma unroll(PRECISE ? 1 : 4)  // four fetches in flight either way
    for (int j = 0; j < path.slices; ++j) {
        const float step = (float)j;
        sample<K, PRECISE>(texture, axis, fmaf(step, path.dx, path.x), fmaf(step, path.dy, path.y),
                           fmaf(step, path.dz, path.z), sums);
    }

    const long long plane = (long long)height * width;
    float* pixel = out + ((long long)view * channels + first) * plane + (long long)v * width + u;
    const float weight = (float)(path.weight * scale);
#pragma unroll
    for (int k = 0; k < K; ++k) {
        if (k < count) pixel[k * plane] = sums[k] * weight;
    }
}

// scale: 1 for a float texture, 65535 for a 16-bit one, which is read as a fraction of 65535
#define JOSEPH_KERNEL(NAME, K, PRECISE)                                                                            \
    extern "C" __global__ void __launch_bounds__(256)                                                              \
        NAME(cudaTextureObject_t texture, float scale, int nx, int ny, int nz, const int* __restrict__ axes,       \
             const double* __restrict__ cameras, const double* __restrict__ metric, int height, int width,         \
             int first, int count, int channels, float* __restrict__ out) {                                        \
        cast_ray<K, PRECISE>(texture, scale, nx, ny, nz, axes, cameras, metric, height, width, first, count,       \
                             channels, out);                                                                       \
    }

JOSEPH_KERNEL(joseph_1, 1, false)
JOSEPH_KERNEL(joseph_2, 2, false)
JOSEPH_KERNEL(joseph_4, 4, false)
JOSEPH_KERNEL(joseph_1_precise, 1, true)
JOSEPH_KERNEL(joseph_2_precise, 2, true)
JOSEPH_KERNEL(joseph_4_precise, 4, true)
