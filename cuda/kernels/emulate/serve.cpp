// Runs emulated kernels for the Go tests. On stdin, in the machine's byte order, one
// request after another:
//
//   u32 length, name; u32 grid; u32 block; u32 arguments; for each argument
//   u32 kind: 0, then u64 value: a scalar;  1, then u64 size, bytes: a buffer
//
// The answer on stdout: u32 length of an error, the error; where there is none, the
// contents of all buffers in order. Buffers have exactly their size, so that with
// -fsanitize=address an access past one ends the program.
#include "launch.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace {

bool take(void * to, size_t n) { return fread(to, 1, n, stdin) == n; }

template <class T> T take() {
    T v;
    if (!take(&v, sizeof v)) {
        exit(2); // a request broke off
    }
    return v;
}

void give(const void * from, size_t n) {
    if (fwrite(from, 1, n, stdout) != n) {
        exit(2);
    }
}

struct argument {
    uint64_t value = 0;       // of a scalar
    void *   buffer = nullptr;
    size_t   size = 0;
};

const emulated::kernel & find(const std::string & name) {
    for (const emulated::kernel & k : emulated::kernels()) {
        if (name == k.name) {
            return k;
        }
    }
    throw std::runtime_error("no kernel " + name);
}

} // namespace

int main() {
    uint32_t length;
    while (take(&length, sizeof length)) {
        std::string name(length, 0);
        take(&name[0], length);
        const uint32_t        grid = take<uint32_t>(), block = take<uint32_t>();
        std::vector<argument> arguments(take<uint32_t>());
        for (argument & a : arguments) {
            if (take<uint32_t>() == 0) {
                a.value = take<uint64_t>();
                continue;
            }
            a.size = take<uint64_t>();
            if (posix_memalign(&a.buffer, 256, a.size) != 0 || !take(a.buffer, a.size)) {
                return 2;
            }
        }
        std::vector<void *> params;
        for (argument & a : arguments) {
            params.push_back(a.buffer ? static_cast<void *>(&a.buffer) : static_cast<void *>(&a.value));
        }
        std::string error;
        try {
            const emulated::kernel & k = find(name);
            if (k.parameter_bytes.size() != params.size()) {
                throw std::runtime_error(name + " takes " + std::to_string(k.parameter_bytes.size()) + " arguments");
            }
            k.run(grid, block, params.data());
        } catch (const std::runtime_error & e) {
            error = e.what();
        }
        const uint32_t n = uint32_t(error.size());
        give(&n, sizeof n);
        give(error.data(), n);
        for (argument & a : arguments) {
            if (n == 0 && a.buffer) {
                give(a.buffer, a.size);
            }
            free(a.buffer);
        }
        fflush(stdout);
    }
}
