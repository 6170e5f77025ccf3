// Lets a C++17 compiler build the CUDA kernels for the host: threads become loops, textures become arrays.
//
// A source is built as this header, the .cu file, and a HOST_LAUNCHER(kernel) for each of its kernels, which
// takes its arguments as cuLaunchKernel does: an array of pointers to them.
//
// tex3D follows the CUDA C++ Programming Guide, "Texture Fetching": coordinates not normalised, border
// addressing, linear filtering around x − ½. With CUDA_HOST_QUANTISED the filter's weights are rounded to
// 1/256 (9-bit fixed point, 8 bits of fraction) as in hardware, and filtered 16-bit texels to 1/65535;
// otherwise weights are floats.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>

#define __global__
#define __device__
#define __launch_bounds__(...)

struct HostIndex {
    int x, y, z;
};
static HostIndex gridDim, blockDim, blockIdx, threadIdx;

struct float2 {
    float x, y;
};
struct float4 {
    float x, y, z, w;
};

using cudaTextureObject_t = unsigned long long;  // the address of a HostTexture

struct HostTexture {
    const void* texels;  // (z, y, x, packed), float or unsigned short
    int32_t nx, ny, nz;
    int32_t packed;
    int32_t is_float;  // otherwise unsigned short, read as a fraction of 65535
    int32_t linear;    // otherwise the texel that holds the point

    float texel(int x, int y, int z, int k) const {
        if (x < 0 || x >= nx || y < 0 || y >= ny || z < 0 || z >= nz) return 0.0f;
        const size_t at = (((size_t)z * ny + y) * nx + x) * packed + k;
        return is_float ? static_cast<const float*>(texels)[at] : static_cast<const uint16_t*>(texels)[at] / 65535.0f;
    }
};

struct HostWeight {
    int below;
    float upper;

    explicit HostWeight(float coordinate) {
        const float shifted = coordinate - 0.5f;
        below = (int)std::floor(shifted);
        upper = shifted - std::floor(shifted);
#ifdef CUDA_HOST_QUANTISED
        upper = std::nearbyint(upper * 256.0f) / 256.0f;
#endif
    }
    float of(int side) const { return side ? upper : 1.0f - upper; }
};

inline float host_filter(const HostTexture& texture, float x, float y, float z, int k) {
    if (!texture.linear) return texture.texel((int)std::floor(x), (int)std::floor(y), (int)std::floor(z), k);
    const HostWeight wx(x), wy(y), wz(z);
    float sum = 0.0f;
    for (int corner = 0; corner < 8; ++corner) {
        const int ox = corner & 1, oy = corner >> 1 & 1, oz = corner >> 2;
        sum += wx.of(ox) * wy.of(oy) * wz.of(oz) * texture.texel(wx.below + ox, wy.below + oy, wz.below + oz, k);
    }
#ifdef CUDA_HOST_QUANTISED
    if (!texture.is_float) sum = std::nearbyint(sum * 65535.0f) / 65535.0f;
#endif
    return sum;
}

template <typename T>
T tex3D(cudaTextureObject_t handle, float x, float y, float z);

template <>
inline float tex3D<float>(cudaTextureObject_t handle, float x, float y, float z) {
    return host_filter(*reinterpret_cast<const HostTexture*>(handle), x, y, z, 0);
}
template <>
inline float2 tex3D<float2>(cudaTextureObject_t handle, float x, float y, float z) {
    const HostTexture& texture = *reinterpret_cast<const HostTexture*>(handle);
    return {host_filter(texture, x, y, z, 0), host_filter(texture, x, y, z, 1)};
}
template <>
inline float4 tex3D<float4>(cudaTextureObject_t handle, float x, float y, float z) {
    const HostTexture& texture = *reinterpret_cast<const HostTexture*>(handle);
    return {host_filter(texture, x, y, z, 0), host_filter(texture, x, y, z, 1), host_filter(texture, x, y, z, 2),
            host_filter(texture, x, y, z, 3)};
}

// Threads run one after another.
inline unsigned long long atomicAdd(unsigned long long* address, unsigned long long value) {
    const unsigned long long before = *address;
    *address += value;
    return before;
}
inline unsigned int atomicAdd(unsigned int* address, unsigned int value) {
    const unsigned int before = *address;
    *address += value;
    return before;
}
inline unsigned int atomicMin(unsigned int* address, unsigned int value) {
    const unsigned int before = *address;
    if (value < before) *address = value;
    return before;
}
inline unsigned int atomicMax(unsigned int* address, unsigned int value) {
    const unsigned int before = *address;
    if (value > before) *address = value;
    return before;
}

using std::ceil, std::fabs, std::floor, std::fmax, std::fmin, std::sqrt;

template <typename... P, size_t... I>
void host_call(void (*kernel)(P...), void** args, std::index_sequence<I...>) {
    kernel(*static_cast<P*>(args[I])...);
}

template <typename... P>
void host_launch(void (*kernel)(P...), const int32_t* grid, const int32_t* block, void** args) {
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {block[0], block[1], block[2]};
    for (blockIdx.z = 0; blockIdx.z < gridDim.z; ++blockIdx.z)
        for (blockIdx.y = 0; blockIdx.y < gridDim.y; ++blockIdx.y)
            for (blockIdx.x = 0; blockIdx.x < gridDim.x; ++blockIdx.x)
                for (threadIdx.z = 0; threadIdx.z < blockDim.z; ++threadIdx.z)
                    for (threadIdx.y = 0; threadIdx.y < blockDim.y; ++threadIdx.y)
                        for (threadIdx.x = 0; threadIdx.x < blockDim.x; ++threadIdx.x)
                            host_call(kernel, args, std::index_sequence_for<P...>{});
}

#define HOST_LAUNCHER(kernel)                                                                  \
    extern "C" void launch_##kernel(const int32_t* grid, const int32_t* block, void** args) {  \
        host_launch(kernel, grid, block, args);                                                \
    }
