// Texture matrices, a thread a voxel: the twin of texture_matrices.py, which says what they are. All counts are
// integers, so that the order in which threads add to them changes nothing.
//
// Layouts: levels (z, y, x), 0 outside, else 1 … n; values (n); steps (ways, 3), z, y, x; pairs (ways, n, n); runs
// (ways, n, longest); dependences, neighbours, differences (n, 2·ways + 1); zone_of and size (z, y, x); zones (n, k).

struct Grid {
    const unsigned short* levels;
    int nx, ny, nz;

    __device__ long long at(int z, int y, int x) const { return ((long long)z * ny + y) * nx + x; }
    // The level of a voxel, 0 beyond the border.
    __device__ int level(int z, int y, int x) const {
        return z < 0 || z >= nz || y < 0 || y >= ny || x < 0 || x >= nx ? 0 : levels[at(z, y, x)];
    }
};

extern "C" __global__ void __launch_bounds__(256)
    texture_matrices_count(const unsigned short* __restrict__ levels, const int* __restrict__ values,
                           const int* __restrict__ steps, int ways, int n, int longest, int nx, int ny, int nz,
                           unsigned int* __restrict__ pairs, unsigned int* __restrict__ runs,
                           unsigned int* __restrict__ dependences, unsigned int* __restrict__ neighbours,
                           unsigned long long* __restrict__ differences) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y, z = blockIdx.z;
    if (x >= nx || y >= ny) return;
    const Grid grid{levels, nx, ny, nz};
    const int level = grid.level(z, y, x);
    if (!level) return;
    int same = 0, near = 0;
    long long around = 0;
    for (int d = 0; d < ways; ++d) {
        const int dz = steps[3 * d], dy = steps[3 * d + 1], dx = steps[3 * d + 2];
        const int before = grid.level(z - dz, y - dy, x - dx), after = grid.level(z + dz, y + dy, x + dx);
        same += (before == level) + (after == level);
        near += (before > 0) + (after > 0);
        around += (before ? values[before - 1] : 0) + (after ? values[after - 1] : 0);
        if (after) atomicAdd(&pairs[((long long)d * n + level - 1) * n + after - 1], 1u);
        if (before == level) continue;  // a run is counted where it begins
        int length = 1;
        while (grid.level(z + length * dz, y + length * dy, x + length * dx) == level) ++length;
        atomicAdd(&runs[((long long)d * n + level - 1) * longest + length - 1], 1u);
    }
    const int columns = 2 * ways + 1;
    atomicAdd(&dependences[(level - 1) * columns + same], 1u);
    atomicAdd(&neighbours[(level - 1) * columns + near], 1u);
    const long long apart = (long long)near * values[level - 1] - around;
    if (apart) atomicAdd(&differences[(level - 1) * columns + near], (unsigned long long)(apart < 0 ? -apart : apart));
}

// The first voxel of a zone, as far as it is known.
__device__ inline unsigned int root(const volatile unsigned int* zone_of, unsigned int voxel) {
    for (unsigned int up = zone_of[voxel]; up != voxel; up = zone_of[voxel]) voxel = up;
    return voxel;
}

extern "C" __global__ void __launch_bounds__(256) texture_matrices_begin(int voxels, unsigned int* zone_of) {
    const int voxel = blockIdx.x * blockDim.x * blockDim.y + threadIdx.y * blockDim.x + threadIdx.x;
    if (voxel < voxels) zone_of[voxel] = voxel;
}

// Joins zones of neighbours with one level: the later root is hung below the earlier, again where another thread was
// first (D. P. Playne and K. Hawick, "A new algorithm for parallel connected-component labelling on GPUs", IEEE Trans.
// Parallel Distrib. Syst. 29(6), 2018, 1217–1230).
extern "C" __global__ void __launch_bounds__(256)
    texture_matrices_join(const unsigned short* __restrict__ levels, const int* __restrict__ steps, int ways, int nx,
                          int ny, int nz, unsigned int* zone_of) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y, z = blockIdx.z;
    if (x >= nx || y >= ny) return;
    const Grid grid{levels, nx, ny, nz};
    const int level = grid.level(z, y, x);
    if (!level) return;
    for (int d = 0; d < ways; ++d) {
        const int dz = steps[3 * d], dy = steps[3 * d + 1], dx = steps[3 * d + 2];
        if (grid.level(z + dz, y + dy, x + dx) != level) continue;
        unsigned int a = (unsigned int)grid.at(z, y, x), b = (unsigned int)grid.at(z + dz, y + dy, x + dx);
        for (;;) {
            a = root(zone_of, a);
            b = root(zone_of, b);
            if (a == b) break;
            const unsigned int early = a < b ? a : b, late = a < b ? b : a;
            const unsigned int before = atomicMin(&zone_of[late], early);
            if (before == late) break;
            a = early;
            b = before;
        }
    }
}

extern "C" __global__ void __launch_bounds__(256)
    texture_matrices_measure(const unsigned short* __restrict__ levels, int voxels, const unsigned int* zone_of,
                             unsigned int* __restrict__ size) {
    const int voxel = blockIdx.x * blockDim.x * blockDim.y + threadIdx.y * blockDim.x + threadIdx.x;
    if (voxel < voxels && levels[voxel]) atomicAdd(&size[root(zone_of, voxel)], 1u);
}

extern "C" __global__ void __launch_bounds__(256)
    texture_matrices_mark(int voxels, const unsigned int* __restrict__ size, unsigned int* __restrict__ occurs) {
    const int voxel = blockIdx.x * blockDim.x * blockDim.y + threadIdx.y * blockDim.x + threadIdx.x;
    if (voxel < voxels && size[voxel]) occurs[size[voxel]] = 1;
}

// index (largest size + 1): the column of each size, from 1.
extern "C" __global__ void __launch_bounds__(256)
    texture_matrices_zones(const unsigned short* __restrict__ levels, int voxels, const unsigned int* __restrict__ size,
                           const unsigned int* __restrict__ index, int columns, unsigned int* __restrict__ zones) {
    const int voxel = blockIdx.x * blockDim.x * blockDim.y + threadIdx.y * blockDim.x + threadIdx.x;
    if (voxel >= voxels || !size[voxel]) return;
    atomicAdd(&zones[(long long)(levels[voxel] - 1) * columns + index[size[voxel]] - 1], 1u);
}
