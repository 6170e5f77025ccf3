// Path length of every ray inside a closed surface: the sum of exits minus the sum of entries.
//
//     out = |p − s| · Σ ± t    over the triangles whose projection covers pixel p
//
// s is the source and t in [0, 1] the fraction of the way from s to p at which the ray crosses the triangle:
// + where it leaves, − where it enters. On the screen (x, y, t), the point is s + x·du + y·dv + t·(origin − s),
// which projects to pixel (x/t, y/t).
//
// Corners are rounded to 1/16384 of a pixel, so that edge functions (J. Pineda, "A parallel algorithm for polygon
// rasterization", SIGGRAPH 22(4), 1988, 17–20) are exact integers; a pixel on an edge counts as moved by (+ε, +ε²).
// So no ray slips through an edge or a corner. Crossings are added as integers, in 2^-40 of the ray: the sum
// does not depend on the order in which the blocks run.
//
// Three launches: mesh_screen, a thread a vertex; mesh_crossings, a block a triangle and a thread a row of it;
// mesh_measure, a thread a pixel.
//
// Layouts: vertices and screen (n, 3); faces (m, 3); camera (4, 3) as source, centre of pixel (0, 0), step
// along u, step along v; crossings (height, width), zeros on entry; out (height, width) in mm.

#define NEAR 1e-9
#define FIXED 1099511627776.0  // 2^40
#define SUBPIXEL 16384
#define GUARD 32768
#define CORNERS 8  // of a triangle cut by five planes, at most

struct Point {
    double x, y, t;
};

__device__ inline Point between(const Point& inside, const Point& outside, double at_inside, double at_outside) {
    const double part = at_inside / (at_inside - at_outside);
    return {inside.x + part * (outside.x - inside.x), inside.y + part * (outside.y - inside.y),
            inside.t + part * (outside.t - inside.t)};
}

// Positive inside one of five planes: before the source, and to the left, right, top and bottom of the screen.
__device__ inline double side(const Point& p, int plane) {
    if (plane == 0) return p.t - NEAR;
    const double at = plane < 3 ? p.x : p.y;
    return GUARD * p.t - (plane % 2 ? at : -at);
}

// Cut a polygon to the five planes (Sutherland & Hodgman 1974), in place; the number of its corners.
__device__ inline int cut(Point* corners, int n) {
    Point scratch[CORNERS];
    for (int plane = 0; plane < 5; ++plane) {
        int count = 0;
        for (int i = 0; i < n; ++i) {
            const Point p = corners[i], q = corners[(i + 1) % n];
            const double at_p = side(p, plane), at_q = side(q, plane);
            if (at_p > 0.0) scratch[count++] = p;
            // From inside outwards, whichever way the edge runs: both triangles of an edge get the same corner.
            if ((at_p > 0.0) != (at_q > 0.0))
                scratch[count++] = at_p > 0.0 ? between(p, q, at_p, at_q) : between(q, p, at_q, at_p);
        }
        n = count;
        for (int i = 0; i < n; ++i) corners[i] = scratch[i];
    }
    return n;
}

__device__ inline long long snap(double x) { return (long long)floor(x * SUBPIXEL + 0.5); }

struct Triangle {
    long long a[3], b[3], c[3];  // pixel (u, v) is inside where a·u + b·v + c >= 0 for all three
    int sign;                    // 1 where the corners turn from +u to +v, −1 where they turn back, 0 without area
    int left, right, top, bottom;

    __device__ Triangle(const Point* p, int height, int width) {
        long long x[3], y[3];
        for (int i = 0; i < 3; ++i) {
            x[i] = snap(p[i].x / p[i].t);
            y[i] = snap(p[i].y / p[i].t);
        }
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
        right = (int)fmin(width - 1.0, floor(high(x) / SUBPIXEL));
        top = (int)fmax(0.0, ceil(low(y) / SUBPIXEL));
        bottom = (int)fmin(height - 1.0, floor(high(y) / SUBPIXEL));
    }
    __device__ static double low(const long long* x) { return fmin(fmin((double)x[0], (double)x[1]), (double)x[2]); }
    __device__ static double high(const long long* x) { return fmax(fmax((double)x[0], (double)x[1]), (double)x[2]); }

    // The first and last pixel inside on row v.
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

// The plane of a triangle: t = w / (x·u + y·v + z) at pixel (u, v), within [nearest, farthest].
struct Plane {
    double x, y, z, w, nearest, farthest;

    __device__ explicit Plane(const Point* p) {
        const double px = p[1].x - p[0].x, py = p[1].y - p[0].y, pt = p[1].t - p[0].t;
        const double qx = p[2].x - p[0].x, qy = p[2].y - p[0].y, qt = p[2].t - p[0].t;
        x = py * qt - pt * qy;
        y = pt * qx - px * qt;
        z = px * qy - py * qx;
        w = x * p[0].x + y * p[0].y + z * p[0].t;
        nearest = fmin(p[0].t, fmin(p[1].t, p[2].t));
        farthest = fmax(p[0].t, fmax(p[1].t, p[2].t));
    }
    __device__ double at(int u, int v) const {
        const double below = x * u + y * v + z;
        // A triangle seen edge on has no certain t, but none beyond its corners.
        const double t = below != 0.0 ? w / below : nearest;
        return fmin(fmin(fmax(t, nearest), farthest), 1.0);
    }
};

extern "C" __global__ void __launch_bounds__(256)
    mesh_screen(const double* __restrict__ vertices, int n, const double* __restrict__ camera,
                double* __restrict__ screen) {
    const int i = (blockIdx.x * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    if (i >= n) return;
    const double *du = camera + 6, *dv = camera + 9;
    const double ex = camera[3] - camera[0], ey = camera[4] - camera[1], ez = camera[5] - camera[2];
    const double ax = dv[1] * ez - dv[2] * ey, ay = dv[2] * ex - dv[0] * ez, az = dv[0] * ey - dv[1] * ex;
    const double bx = ey * du[2] - ez * du[1], by = ez * du[0] - ex * du[2], bz = ex * du[1] - ey * du[0];
    const double cx = du[1] * dv[2] - du[2] * dv[1], cy = du[2] * dv[0] - du[0] * dv[2],
                 cz = du[0] * dv[1] - du[1] * dv[0];
    const double scale = 1.0 / (du[0] * ax + du[1] * ay + du[2] * az);
    const double* at = vertices + 3 * (long long)i;
    const double x = at[0] - camera[0], y = at[1] - camera[1], z = at[2] - camera[2];
    double* to = screen + 3 * (long long)i;
    to[0] = (x * ax + y * ay + z * az) * scale;
    to[1] = (x * bx + y * by + z * bz) * scale;
    to[2] = (x * cx + y * cy + z * cz) * scale;
}

// mirrored is −1 where du, dv and the way to the detector are left-handed, else 1.
extern "C" __global__ void __launch_bounds__(256)
    mesh_crossings(const double* __restrict__ screen, const int* __restrict__ faces, int mirrored, int height,
                   int width, unsigned long long* __restrict__ crossings) {
    Point corners[CORNERS];
    bool whole = true;
    for (int i = 0; i < 3; ++i) {
        const double* p = screen + 3 * (long long)faces[3 * (long long)blockIdx.x + i];
        corners[i] = {p[0], p[1], p[2]};
        for (int plane = 0; plane < 5; ++plane) whole = whole && side(corners[i], plane) > 0.0;
    }
    const int n = whole ? 3 : cut(corners, 3);
    for (int part = 1; part + 1 < n; ++part) {
        const Point p[3] = {corners[0], corners[part], corners[part + 1]};
        const Triangle triangle(p, height, width);
        if (triangle.sign == 0) continue;
        const Plane plane(p);
        const int stride = blockDim.x * blockDim.y;
        for (int v = triangle.top + threadIdx.y * blockDim.x + threadIdx.x; v <= triangle.bottom; v += stride) {
            int first, last;
            triangle.span(v, first, last);
            for (int u = first; u <= last; ++u) {
                const long long steps = (long long)floor(plane.at(u, v) * FIXED + 0.5);
                atomicAdd(&crossings[(long long)v * width + u], (unsigned long long)(mirrored * triangle.sign * steps));
            }
        }
    }
}

extern "C" __global__ void __launch_bounds__(256)
    mesh_measure(const unsigned long long* __restrict__ crossings, const double* __restrict__ camera, int height,
                 int width, float* __restrict__ out) {
    const int u = blockIdx.x * blockDim.x + threadIdx.x;
    const int v = blockIdx.y * blockDim.y + threadIdx.y;
    if (u >= width || v >= height) return;
    const double dx = camera[3] + u * camera[6] + v * camera[9] - camera[0];
    const double dy = camera[4] + u * camera[7] + v * camera[10] - camera[1];
    const double dz = camera[5] + u * camera[8] + v * camera[11] - camera[2];
    const long long pixel = (long long)v * width + u;
    out[pixel] = (float)((long long)crossings[pixel] * (sqrt(dx * dx + dy * dy + dz * dz) / FIXED));
}
