// Quantum and electronic noise, and the detector's blur: a thread a pixel.
//
// Random words are Philox4x32-10 (Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3",
// SC'11) of the counter (pixel, 0, stream, 0) under the key (k0, k1), the two halves of the seed.
//
// Normal numbers (Box & Muller 1958, Ann. Math. Stat. 29, 610–611), of u in (0, 1] and a turn b:
//
//     √(−2 ln u) · cos(2πb),  √(−2 ln u) · sin(2πb)
//
// Absorbed energy is a Poisson number, of mean n = m²/v, of equal quanta v/m, where m = ΣN·E and v = ΣN·E². Below
// EXACT_BELOW the number is the first whose distribution function exceeds a uniform number; above, with z normal,
//
//     n + z·√(n − 1/18) + (z² − 1)/6
//
// which are the first terms of Cornish & Fisher's expansion (1938, Rev. Inst. Int. Stat. 5, 307–320), scaled to
// Poisson's variance.
//
// Logarithm, sine and cosine are the polynomials of the CPU twin, evaluated in its order: the words are its words, the
// numbers its numbers but for multiplications fused with additions.
//
// Layouts: images (height, width), row after row, of n pixels; taps (2·radius + 1, 2·radius + 1).

#define EXACT_BELOW 32.0f
#define TO_UNIT 2.3283064365386963e-10f  // 2^-32

struct Words {
    unsigned int x, y, z, w;
};

__device__ inline Words philox(unsigned int pixel, unsigned int stream, unsigned int k0, unsigned int k1) {
    Words c = {pixel, 0u, stream, 0u};
    for (int round = 0; round < 10; ++round) {
        const unsigned long long a = (unsigned long long)c.x * 0xD2511F53u;
        const unsigned long long b = (unsigned long long)c.z * 0xCD9E8D57u;
        c = {(unsigned int)(b >> 32) ^ c.y ^ k0, (unsigned int)b, (unsigned int)(a >> 32) ^ c.w ^ k1, (unsigned int)a};
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return c;
}

union Float {
    float value;
    int bits;
};

// ln u for u in (0, 1], from u = 2^e·(1 + f) with f within a third of 0.
__device__ inline float logarithm(float u) {
    Float whole, part;
    whole.value = u;
    const int e = (whole.bits - 0x3F2AAAAB) >> 23;
    part.bits = whole.bits - e * (1 << 23);
    const float f = part.value - 1.0f;
    float p = -0.12734152f * f + 0.13756539f;
    p = ((p * f + -0.12219618f) * f + 0.14054218f) * f + -0.16678093f;
    p = (((p * f + 0.20007323f) * f + -0.24999839f) * f + 0.33333272f) * f + -0.5f;
    return (p * f * f + f) + (float)e * 0.6931471805599453f;
}

struct Pair {
    float first, second;
};

__device__ inline Pair box_muller(unsigned int a, unsigned int b) {
    const float squared = -2.0f * logarithm(((float)a + 0.5f) * TO_UNIT);
    const float radius = sqrt(squared > 0.0f ? squared : 0.0f);
    // The angle is k quarters of a turn and t, at most an eighth either way.
    const unsigned int k = (b + 0x20000000u) >> 30;
    const float t = (float)(int)(b - (k << 30)) * TO_UNIT;
    const float q = t * t;
    const float sine = t * ((((41.472893f * q + -76.69787f) * q + 81.6052f) * q + -41.3417f) * q + 6.2831855f);
    const float cosine = (((59.220287f * q + -85.44285f) * q + 64.939316f) * q + -19.739208f) * q + 1.0f;
    const float x = k & 1u ? sine : cosine, y = k & 1u ? cosine : sine;
    return {x * ((k + 1u) & 2u ? -radius : radius), y * (k & 2u ? -radius : radius)};
}

__device__ inline float poisson(double mean, double u) {
    double share = exp(-mean), below = share;
    int k = 0;
    while (u > below && k < 200) {
        ++k;
        share *= mean / k;
        below += share;
    }
    return (float)k;
}

__device__ inline int pixel_of_thread() {
    return (int)((blockIdx.x * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x);
}

// drawn: the absorbed energy; normal: a standard normal number beside it.
extern "C" __global__ void __launch_bounds__(256)
    noise_quanta(const float* __restrict__ energy, const float* __restrict__ energy_squared, unsigned int k0,
                 unsigned int k1, int n, float* __restrict__ drawn, float* __restrict__ normal) {
    const int i = pixel_of_thread();
    if (i >= n) return;
    const Words words = philox((unsigned int)i, 0u, k0, k1);
    const Pair pair = box_muller(words.x, words.y);
    normal[i] = pair.second;
    const float m = energy[i], v = energy_squared[i], z = pair.first;
    const float size = v / m, mean = m / size;
    float absorbed = 0.0f;
    if (mean >= EXACT_BELOW) {
        // The quadratic term adds 1/18 to the variance; the linear one gives it back.
        const float spread = sqrt(mean - 1.0f / 18.0f);
        absorbed = size * (mean + z * spread + (z * z - 1.0f) * (1.0f / 6.0f));
    }
    if (m > 0.0f && v > 0.0f && absorbed == 0.0f) {
        // 53 bits, in the middle of their interval.
        const double u = ((double)words.z * 2097152.0 + (double)(words.w >> 11) + 0.5) * (1.0 / 9007199254740992.0);
        absorbed = size * poisson((double)mean, u);
    }
    drawn[i] = absorbed;
}

extern "C" __global__ void __launch_bounds__(256)
    noise_normals(unsigned int k0, unsigned int k1, unsigned int stream, int n, float* __restrict__ out) {
    const int i = pixel_of_thread();
    if (i >= n) return;
    const Words words = philox((unsigned int)i, stream, k0, k1);
    out[i] = box_muller(words.x, words.y).first;
}

extern "C" __global__ void __launch_bounds__(256)
    noise_uniforms(unsigned int k0, unsigned int k1, unsigned int stream, int n, float* __restrict__ out) {
    const int i = pixel_of_thread();
    if (i >= n) return;
    out[i] = (float)(philox((unsigned int)i, stream, k0, k1).x >> 8) * 5.9604644775390625e-8f;  // 2^-24
}

// A pixel's index, mirrored at the outer faces of the first and last pixel; i at most n beyond either.
__device__ inline int mirrored(int i, int n) { return i < 0 ? -1 - i : i >= n ? 2 * n - 1 - i : i; }

extern "C" __global__ void __launch_bounds__(256)
    noise_convolve(const float* __restrict__ image, const float* __restrict__ taps, const float* __restrict__ noise,
                   float scale, int height, int width, int radius, float* __restrict__ out) {
    const int u = blockIdx.x * blockDim.x + threadIdx.x;
    const int v = blockIdx.y * blockDim.y + threadIdx.y;
    if (u >= width || v >= height) return;
    const long long pixel = (long long)v * width + u;
    float sum = scale * noise[pixel];
    for (int i = -radius; i <= radius; ++i) {
        const float* row = image + (long long)mirrored(v + i, height) * width;
        for (int j = -radius; j <= radius; ++j) sum += *taps++ * row[mirrored(u + j, width)];
    }
    out[pixel] = sum;
}
