// Tissue texture, a thread a voxel: the twin of texture.py, bit for bit, which says what it is.
//
// Compiled with --fmad=false: a multiplication fused with an addition would round once where the twin rounds twice.
//
// Layouts: table (2, 256, 2), lattice cells a mm and amplitude of each octave and label; hu, labels (z, y, x).

__device__ inline unsigned int mixed(unsigned int word) {
    word = (word ^ word >> 16) * 0x7FEB352Du;
    word = (word ^ word >> 15) * 0x846CA68Bu;
    return word ^ word >> 16;
}

// The number of a node, of mean 0 and variance 1.
__device__ inline float node(int x, int y, int z, unsigned int key) {
    const unsigned int word = mixed(mixed(mixed((unsigned int)z ^ key) + (unsigned int)y) + (unsigned int)x);
    return ((float)((word & 0xFFFFu) + (word >> 16)) - 65535.0f) * 3.73762487e-05f;  // √6 / 2^16
}

// sin(πt/2), within 1e-4.
__device__ inline float sine(float t) {
    const float square = t * t;
    return t * (1.5703801f + square * (-0.64231896f + square * 0.07201342f));
}

// Where a position lies along an axis: its cell, and the weights of the nodes at the two ends.
struct Place {
    int cell;
    float a, b;

    __device__ Place(float position, float per_mm, int octave) {
        const float at = position * per_mm + 0.5f * (float)octave, below = floor(at), f = at - below;
        cell = (int)below;
        const float t = (f * f) * (3.0f - 2.0f * f);
        a = sine(1.0f - t);
        b = sine(t);
    }
};

// The four nodes at one side of a cell, blended.
__device__ inline float side(int x, const Place& y, const Place& z, unsigned int key) {
    const float near = y.a * node(x, y.cell, z.cell, key) + y.b * node(x, y.cell + 1, z.cell, key);
    const float far = y.a * node(x, y.cell, z.cell + 1, key) + y.b * node(x, y.cell + 1, z.cell + 1, key);
    return z.a * near + z.b * far;
}

extern "C" __global__ void __launch_bounds__(256)
    texture_add(const unsigned char* __restrict__ labels, const float* __restrict__ table, unsigned int low,
                unsigned int high, float ox, float oy, float oz, float sx, float sy, float sz, int nx, int ny,
                float* __restrict__ hu) {
    const int column = blockIdx.x * blockDim.x + threadIdx.x;
    const int row = blockIdx.y * blockDim.y + threadIdx.y, slice = blockIdx.z;
    if (column >= nx || row >= ny) return;
    const long long voxel = ((long long)slice * ny + row) * nx + column;
    for (int octave = 0; octave < 2; ++octave) {
        const float* entry = table + 2 * (256 * octave + labels[voxel]);
        const float per_mm = entry[0], amplitude = entry[1];
        if (amplitude == 0.0f) continue;
        const unsigned int key = mixed(mixed(low + (unsigned int)octave) ^ high);
        const Place x(ox + (float)column * sx, per_mm, octave), y(oy + (float)row * sy, per_mm, octave),
            z(oz + (float)slice * sz, per_mm, octave);
        hu[voxel] += amplitude * (x.a * side(x.cell, y, z, key) + x.b * side(x.cell + 1, y, z, key));
    }
}
