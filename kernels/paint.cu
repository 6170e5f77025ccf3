// Painting solids into a grid of voxels: the twin of paint.py and solids.py, bit for bit.
//
// Everything is float32, and of + − × ÷ √ and comparisons in the order of the twin. Compiled with --fmad=false: a
// multiplication fused with an addition would round once where the twin rounds twice.
//
// A stroke takes two launches: paint_cover, a row of blocks a solid and a thread a voxel of its box, leaves the largest
// coverage of every voxel that may be painted over, in any order; paint_apply, a thread a voxel of the stroke's box, paints and forgets it.
//
// Layouts: solids (m, 10), data and over (n, 2, 256) as in paint.py and solids.py; cover, hu, labels, parts (z, y, x).
// Coverages lie between 0 and 1, where the order of floats is the order of their bits: cover holds the bits.

#define TINY 1e-12f
#define PER_RADIAN 0.159154943f
#define EIGHTH 0.198912367f  // tan(π/16), tan(π/8), tan(3π/16)
#define FOURTH 0.414213562f
#define THREE_EIGHTHS 0.668178638f

enum Kind { LOFT, SLAB, SEGMENT };

union Float {
    float value;
    unsigned int bits;
};

struct Vector {
    float x, y, z;
};

// The larger and the smaller; equal numbers are the same but for the sign of 0, on which nothing depends.
__device__ inline float larger(float a, float b) { return b > a ? b : a; }
__device__ inline float smaller(float a, float b) { return b < a ? b : a; }
__device__ inline int less(int a, int b) { return b < a ? b : a; }

// The angle of (x, y) in turns.
__device__ inline float turn(float x, float y) {
    const float a = fabs(x), b = fabs(y), small = smaller(a, b), large = larger(a, b);
    const float ratio = small / (large > 0.0f ? large : 1.0f), square = ratio * ratio;
    float t = 0.00108412921f * square + -0.00534827635f;
    t = ((t * square + 0.0126725035f) * square + -0.0210615229f) * square + 0.0315251201f;
    t = ((t * square + -0.0530262403f) * square + 0.159154326f) * ratio;
    if (b > a) t = 0.25f - t;
    if (x < 0.0f) t = 0.5f - t;
    return y < 0.0f ? 1.0f - t : t;
}

// The fraction covered at distance d of a plane with its normal along g.
__device__ inline float covered(float d, float gx, float gy, float gz, Vector spacing) {
    const float hx = gx * spacing.x, hy = gy * spacing.y, hz = gz * spacing.z;
    const float length = (gx * gx + gy * gy) + gz * gz, extent = (hx * hx + hy * hy) + hz * hz;
    const float c = 0.5f - d * sqrt(length / extent);
    return smaller(larger(c, 0.0f), 1.0f);
}

// The same with the normal in the axes of a solid.
__device__ inline float covered_local(float d, float gu, float gv, float gw, const float* axes, Vector spacing) {
    return covered(d, (axes[0] * gu + axes[3] * gv) + axes[6] * gw, (axes[1] * gu + axes[4] * gv) + axes[7] * gw,
                   (axes[2] * gu + axes[5] * gv) + axes[8] * gw, spacing);
}

// Which of 32 sectors holds (x, y).
__device__ inline int sector(float x, float y) {
    const float a = fabs(x), b = fabs(y), small = smaller(a, b), large = larger(a, b);
    const int quarter = (small > EIGHTH * large) + (small > FOURTH * large) + (small > THREE_EIGHTHS * large);
    return 16 * (x < 0.0f) + 8 * (y < 0.0f) + 4 * (b > a) + quarter;
}

// A loft of n sections by m angles at a point (u, v, w) of its axes.
__device__ inline float loft(const float* data, int n, int m, float u, float v, float w, float inset, Vector spacing) {
    const float first = data[12], last = data[14];
    float t = (w - first) * data[13];
    const int k = less((int)t > 0 ? (int)t : 0, n - 2);
    t -= (float)k;
    const float* centre = data + 21 + 2 * k;
    const float lean_u = centre[2] - centre[0], lean_v = centre[3] - centre[1];
    const float p = u - (centre[0] + t * lean_u), r = v - (centre[1] + t * lean_v);
    const float square = p * p + r * r;
    const float* bounds = data + 21 + 2 * n + 64 * k + 2 * sector(p, r);
    if (square >= bounds[1]) return 0.0f;
    if (square <= bounds[0] && smaller(w - first, last - w) >= data[15]) return 1.0f;

    float angle = turn(p, r) * (float)m;
    const int j = less((int)angle, m - 1);
    angle -= (float)j;
    const float* row = data + 21 + 2 * n + 64 * (n - 1) + k * (m + 1) + j;
    const float s0 = row[0], s1 = row[1], s2 = row[m + 1], s3 = row[m + 2];
    const float below = s0 + angle * (s1 - s0), above = s2 + angle * (s3 - s2);
    const float s = below + t * (above - below), f = square - s;
    float turning = ((s1 - s0) + t * ((s3 - s2) - (s1 - s0))) * ((float)m * PER_RADIAN) * 0.5f;
    turning /= larger(larger(square, s), TINY);
    const float gu = p + turning * r, gv = r - turning * p;
    const float lean = gu * lean_u + gv * lean_v;
    const float gw = -(lean + (above - below) * 0.5f) * data[13];
    const float g2 = (gu * gu + gv * gv) + gw * gw;

    const float end = larger(first - w, w - last);
    const float inner = larger(data[15] + data[18], 0.0f), outer = larger(data[16], 0.0f);
    const float inner2 = inner * inner, outer2 = outer * outer;
    const float over = f + outer2, under = -(f + inner2), four = (g2 + g2) + (g2 + g2);
    if (f > 0.0f && g2 >= outer2 && over * over >= four * outer2) return 0.0f;
    if (under > 0.0f && under * under >= four * inner2 && -end >= data[15]) return 1.0f;

    const float radius = sqrt(larger(g2 - f, 0.0f));
    const float d = f / larger(sqrt(g2) + radius, TINY) + data[17] / larger(radius, data[18]);
    const float side = covered_local(d + inset, gu, gv, g2 > TINY ? gw : 1.0f, data, spacing);
    if (-end >= data[15]) return side;
    const float near = covered_local(end + inset, 0.0f, 0.0f, 1.0f, data, spacing);
    if (data[first - w >= w - last ? 19 : 20] == 0.0f) return smaller(side, near);
    const float far = covered_local(smaller(first - w, w - last) + inset, 0.0f, 0.0f, 1.0f, data, spacing);
    return side * larger((near + far) - 1.0f, 0.0f);
}

struct Surface {
    float height, slope_u, slope_v;

    __device__ Surface(const float* row, int m, float s, float t, float per_u, float per_v) {
        const float a = row[1] - row[0], b = row[m + 1] - row[m];
        const float below = row[0] + s * a, above = row[m] + s * b;
        height = below + t * (above - below);
        slope_u = (a + t * (b - a)) * per_u;
        slope_v = (above - below) * per_v;
    }
    __device__ float length2() const { return 1.0f + (slope_u * slope_u + slope_v * slope_v); }
};

// The fraction between two parallel planes.
__device__ inline float between(float d, float other, float gu, float gv, const float* axes, Vector spacing) {
    const float c = covered_local(d, gu, gv, 0.0f, axes, spacing) + covered_local(other, gu, gv, 0.0f, axes, spacing);
    return larger(c - 1.0f, 0.0f);
}

// A slab of n rows by m columns at a point (u, v, w) of its axes.
__device__ inline float slab(const float* data, int n, int m, float u, float v, float w, float inset, Vector spacing) {
    const float per_u = data[13], per_v = data[16];
    float s = smaller(larger((u - data[12]) * per_u, 0.0f), (float)(m - 1));
    float t = smaller(larger((v - data[15]) * per_v, 0.0f), (float)(n - 1));
    const int i = less((int)s, m - 2), j = less((int)t, n - 2);
    s -= (float)i;
    t -= (float)j;
    const float* row = data + 20 + j * m + i;
    const Surface lower(row, m, s, t, per_u, per_v), upper(row + n * m, m, s, t, per_u, per_v);
    const float down = lower.height - w, up = w - upper.height;
    const float inner2 = data[18] * data[18], outer2 = data[19] * data[19];
    if (down > 0.0f && down * down >= outer2 * lower.length2()) return 0.0f;
    if (up > 0.0f && up * up >= outer2 * upper.length2()) return 0.0f;
    const float end = larger(larger(data[12] - u, u - data[14]), larger(data[15] - v, v - data[17]));
    if (larger(larger(down, up), end + data[18]) < 0.0f && down * down >= inner2 * lower.length2() &&
        up * up >= inner2 * upper.length2())
        return 1.0f;
    float c = covered_local(down / sqrt(lower.length2()) + inset, lower.slope_u, lower.slope_v, -1.0f, data, spacing);
    c += covered_local(up / sqrt(upper.length2()) + inset, -upper.slope_u, -upper.slope_v, 1.0f, data, spacing);
    c = larger(c - 1.0f, 0.0f);
    if (c > 0.0f) {
        c *= between((data[12] - u) + inset, (u - data[14]) + inset, 1.0f, 0.0f, data, spacing);
        c *= between((data[15] - v) + inset, (v - data[17]) + inset, 0.0f, 1.0f, data, spacing);
    }
    return c;
}

// A segment at a point (x, y, z) from its start.
__device__ inline float segment(const float* data, float x, float y, float z, float inset, Vector spacing) {
    const float along = ((x * data[3] + y * data[4]) + z * data[5]) * data[6];
    const float s = smaller(larger(along, 0.0f), 1.0f);
    x -= s * data[3];
    y -= s * data[4];
    z -= s * data[5];
    const float nx = data[9], ny = data[10], nz = data[11];
    const float radius = data[7] + s * data[8], shrinkage = data[15] + s * data[16];
    const float across = (x * nx + y * ny) + z * nz;
    const float square = ((x * x + y * y) + z * z) + data[12] * (across * across);
    const float outer = radius + data[17];
    if (outer <= 0.0f || square >= outer * outer) return 0.0f;
    const float bent = data[12] * across;
    float gx = x + bent * nx, gy = y + bent * ny, gz = z + bent * nz, d;
    const bool within = along > 0.0f && along < 1.0f;
    if (square > TINY) {
        float steepness = ((gx * gx + gy * gy) + gz * gz) / square;
        if (within) steepness += data[13];
        d = (sqrt(square) - radius) / sqrt(steepness);
    } else {
        d = -radius * data[14];
        gx = nx;
        gy = ny;
        gz = nz;
    }
    return covered((d + inset) + (within ? shrinkage : 2.0f * shrinkage), gx, gy, gz, spacing);
}

extern "C" __global__ void __launch_bounds__(256)
    paint_cover(const int* __restrict__ solids, const float* __restrict__ numbers,
                const unsigned char* __restrict__ over, const unsigned char* __restrict__ labels,
                const unsigned char* __restrict__ parts, int first, float inset, float ox, float oy, float oz, float sx,
                float sy, float sz, int nx, int ny, unsigned int* __restrict__ cover) {
    const int* solid = solids + 10ll * (first + (int)blockIdx.x);
    const int kind = solid[0], n = solid[2], m = solid[3];
    const float* data = numbers + solid[1];
    const Vector spacing = {sx, sy, sz};
    const int width = solid[5] - solid[4], height = solid[7] - solid[6];
    const long long size = (long long)width * height * (solid[9] - solid[8]);
    const int block = blockDim.x * blockDim.y, thread = threadIdx.y * blockDim.x + threadIdx.x;
    for (long long i = (long long)blockIdx.y * block + thread; i < size; i += (long long)gridDim.y * block) {
        const int column = solid[4] + (int)(i % width);
        const int row = solid[6] + (int)(i / width % height), slice = solid[8] + (int)(i / width / height);
        const long long voxel = ((long long)slice * ny + row) * nx + column;
        if (!over[labels[voxel]] || !over[256 + parts[voxel]]) continue;
        const float* base = kind == SEGMENT ? data : data + 9;
        const float x = (ox - base[0]) + (float)column * sx;
        const float y = (oy + (float)row * sy) - base[1], z = (oz + (float)slice * sz) - base[2];
        Float c;
        if (kind == SEGMENT) {
            c.value = segment(data, x, y, z, inset, spacing);
        } else {
            const float u = (data[1] * y + data[2] * z) + data[0] * x, v = (data[4] * y + data[5] * z) + data[3] * x;
            const float w = (data[7] * y + data[8] * z) + data[6] * x;
            c.value = kind == LOFT ? loft(data, n, m, u, v, w, inset, spacing)
                                   : slab(data, n, m, u, v, w, inset, spacing);
        }
        if (c.value > 0.0f) atomicMax(cover + voxel, c.bits);
    }
}

// label, part: −1 to leave it; value: NaN to leave it.
extern "C" __global__ void __launch_bounds__(256)
    paint_apply(int x0, int x1, int y0, int y1, int z0, int z1, int label, int part, float value, int nx, int ny,
                unsigned int* __restrict__ cover, float* __restrict__ hu, unsigned char* __restrict__ labels,
                unsigned char* __restrict__ parts) {
    const int x = x0 + (int)(blockIdx.x * blockDim.x + threadIdx.x);
    const int y = y0 + (int)(blockIdx.y * blockDim.y + threadIdx.y), z = z0 + (int)blockIdx.z;
    if (x >= x1 || y >= y1 || z >= z1) return;
    const long long voxel = ((long long)z * ny + y) * nx + x;
    Float covered;
    covered.bits = cover[voxel];
    if (covered.bits == 0u) return;
    cover[voxel] = 0u;
    const float c = covered.value;
    if (value == value) hu[voxel] = c == 1.0f ? value : hu[voxel] + c * (value - hu[voxel]);
    if (c >= 0.5f) {
        if (label >= 0) labels[voxel] = (unsigned char)label;
        if (part >= 0) parts[voxel] = (unsigned char)part;
    }
}
