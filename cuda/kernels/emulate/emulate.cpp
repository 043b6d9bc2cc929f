// The fibers behind emulate.h.
#include "launch.h"

#include "emulate.h"

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <ucontext.h>
#include <vector>

// Bounds of all __shared__ variables, which the linker makes.
extern "C" char __start_ls_shared[], __stop_ls_shared[];

namespace emulated {

place here;

namespace {

constexpr size_t STACK_BYTES = 256 * 1024; // instrumented code takes much more than a GPU's

enum class wait { none, warp, block, gone };

struct copy {
    void *       to;
    const void * from;
    int          group;
};

struct fiber {
    ucontext_t              context;
    std::unique_ptr<char[]> stack;
    uint3                   thread;
    wait                    waits = wait::none;
    const void *            shown = nullptr;
    std::vector<copy>       copies; // issued, not yet done
    int                     groups = 0;
};

ucontext_t                    scheduler;
std::vector<fiber>            pool;   // fibers outlive their block: making one costs more than running it
size_t                        threads; // of the block: the first so many fibers
fiber *                       current;
const std::function<void()> * body;
std::string                   failure;

void leave(wait reason) {
    fiber * self = current;
    self->waits  = reason;
    swapcontext(&self->context, &scheduler);
}

// A fiber cannot throw past its own stack, so it ends and the scheduler throws.
[[noreturn]] void stop() {
    leave(wait::gone);
    __builtin_unreachable();
}

void fiber_main() {
    for (;;) { // once for each block
        (*body)();
        if (!current->copies.empty()) {
            failure = "a thread ended with asynchronous copies that nobody waited for";
        }
        leave(wait::gone);
    }
}

void copy_now(const copy & c) { memcpy(c.to, c.from, 16); }

// Lets go of those that wait where all others of their group, unless gone, wait too.
bool release() {
    bool any = false, all_at_block = true, someone = false;
    for (size_t first = 0; first < threads; first += 32) {
        const size_t end     = std::min(first + 32, threads);
        bool         all     = true;
        for (size_t i = first; i < end; i++) {
            const wait w = pool[i].waits;
            all &= w == wait::warp || w == wait::gone;
            all_at_block &= w == wait::block || w == wait::gone;
            someone |= w != wait::gone;
        }
        for (size_t i = first; all && i < end; i++) {
            if (pool[i].waits == wait::warp) {
                pool[i].waits = wait::none;
                any                = true;
            }
        }
    }
    for (size_t i = 0; all_at_block && i < threads; i++) {
        if (pool[i].waits == wait::block) {
            pool[i].waits = wait::none;
            any                = true;
        }
    }
    return any || !someone;
}

void make(fiber & f, unsigned thread) {
    f.thread = {thread, 0, 0};
    f.waits  = wait::gone;
    f.stack.reset(new char[STACK_BYTES]);
    getcontext(&f.context);
    f.context.uc_stack.ss_sp   = f.stack.get();
    f.context.uc_stack.ss_size = STACK_BYTES;
    f.context.uc_link          = nullptr;
    makecontext(&f.context, fiber_main, 0);
}

void run_block() {
    memset(__start_ls_shared, 0xff, size_t(__stop_ls_shared - __start_ls_shared));
    for (size_t t = 0; t < threads; t++) {
        pool[t].waits  = wait::none;
        pool[t].groups = 0;
    }
    for (bool running = true; running;) {
        running = false;
        for (size_t t = 0; t < threads; t++) {
            fiber & f = pool[t];
            if (f.waits == wait::none) {
                current     = &f;
                here.thread = f.thread;
                swapcontext(&scheduler, &f.context);
                if (!failure.empty()) {
                    throw std::runtime_error(failure);
                }
            }
            running |= f.waits != wait::gone;
        }
        if (running && !release()) {
            throw std::runtime_error("deadlock: threads of a block wait at different barriers");
        }
    }
}

} // namespace

void fail(const char * what) {
    failure = what;
    stop();
}

void sync_block() { leave(wait::block); }
void sync_warp() { leave(wait::warp); }

void exchange(const void * mine) {
    current->shown = mine;
    leave(wait::warp);
}

const void * lane(unsigned i) {
    const size_t at = (here.thread.x / 32) * 32 + i;
    if (at >= threads || pool[at].waits == wait::gone) {
        fail("a shuffle reads a lane that is not there");
    }
    return pool[at].shown;
}

void exchange_done() { leave(wait::warp); }

void launch(const std::function<void()> & kernel, unsigned grid, unsigned block) {
    if (grid == 0 || block == 0 || block > 1024) {
        throw std::runtime_error("no such launch: " + std::to_string(grid) + " blocks of " + std::to_string(block) + " threads");
    }
    pool.reserve(1024); // contexts must not move
    while (pool.size() < block) {
        pool.emplace_back();
        make(pool.back(), unsigned(pool.size() - 1));
    }
    threads = block;
    body    = &kernel;
    failure.clear();
    here.block_dim = {block, 1, 1};
    here.grid_dim  = {grid, 1, 1};
    try {
        for (unsigned b = 0; b < grid; b++) {
            here.block = {b, 0, 0};
            run_block();
        }
    } catch (...) {
        pool.clear(); // fibers were left in the middle of the kernel
        throw;
    }
}

} // namespace emulated

using namespace emulated;

void emulated_copy16_async(void * shared, const void * global) {
    if (uintptr_t(shared) % 16 != 0 || uintptr_t(global) % 16 != 0) {
        fail("an asynchronous copy of 16 bytes is not aligned");
    }
    memset(shared, 0xff, 16);
    current->copies.push_back({shared, global, current->groups});
}

void emulated_copies_commit() { current->groups++; }

void emulated_copies_wait(int groups_left) {
    std::vector<copy> later;
    for (const copy & c : current->copies) {
        if (c.group < current->groups - groups_left) {
            copy_now(c);
        } else {
            later.push_back(c);
        }
    }
    current->copies = later;
}

float emulated_half_to_float(uint16_t bits) {
    const int   exponent = (bits >> 10) & 31;
    const int   mantissa = bits & 0x3ff;
    const float sign     = bits & 0x8000 ? -1.0f : 1.0f;
    if (exponent == 31) {
        return mantissa ? NAN : sign * INFINITY;
    }
    return sign * (exponent == 0 ? ldexpf(float(mantissa), -24) : ldexpf(float(mantissa + 1024), exponent - 25));
}

uint64_t emulated_clock_ns() {
    return uint64_t(std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count());
}

void emulated_mma_m16n8k16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    struct { uint32_t a[4], b[2]; } mine;
    memcpy(mine.a, a, sizeof mine.a);
    memcpy(mine.b, b, sizeof mine.b);
    exchange(&mine);
    const unsigned self = here.thread.x % 32;
    for (unsigned i = 0; i < 4; i++) {
        const unsigned row = self / 4 + (i / 2) * 8, column = (self % 4) * 2 + i % 2;
        double         sum = d[i];
        for (unsigned k = 0; k < 16; k++) {
            decltype(mine) of_a, of_b;
            memcpy(&of_a, lane((row % 8) * 4 + (k % 8) / 2), sizeof of_a);
            memcpy(&of_b, lane(column * 4 + (k % 8) / 2), sizeof of_b);
            const uint32_t word_a = of_a.a[row / 8 + (k / 8) * 2], word_b = of_b.b[k / 8];
            sum += double(emulated_half_to_float(uint16_t(word_a >> (k % 2 * 16)))) *
                   double(emulated_half_to_float(uint16_t(word_b >> (k % 2 * 16))));
        }
        d[i] = float(sum);
    }
    exchange_done();
}
