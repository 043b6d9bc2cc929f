// Log routing, signals, the processors of the process, and build facts.
#include "common.h"

#include <atomic>
#include <csignal>
#include <initializer_list>
#include <sched.h>

namespace {
std::atomic<ls_log_fn> log_sink{nullptr};
std::atomic<int>       log_min_level{GGML_LOG_LEVEL_INFO};
std::atomic<bool>      log_muted{false};
// A "continue" line has no level of its own: it follows its line's fate.
thread_local bool last_line_passed = false;

void on_log(ggml_log_level level, const char * text, void *) {
    ls_log_fn sink = log_sink.load(std::memory_order_relaxed);
    const bool pass = level == GGML_LOG_LEVEL_CONT ? last_line_passed : level >= log_min_level.load(std::memory_order_relaxed) && !log_muted.load(std::memory_order_relaxed);
    last_line_passed = pass;
    if (sink && pass) {
        sink(level, text);
    }
}

// Where OMP_PROC_BIND, OMP_PLACES or GOMP_CPU_AFFINITY say so, libgomp binds the thread that loads it to one place, which
// all of Go's threads then inherit, and all worker processes: they would count one core. So the program's first thread
// gets back what it was given. libgomp still binds the threads that compute, when they start their first team, but for
// this first thread, which native/cgo.go keeps from computing.
constexpr size_t most_cpus = 1 << 13; // NR_CPUS of the largest kernels; cpu_set_t itself ends at 1024
alignas(cpu_set_t) unsigned char given[most_cpus / 8];
bool given_known = false;

cpu_set_t * given_set() { return reinterpret_cast<cpu_set_t *>(given); }

// .preinit_array runs before the constructors of all libraries.
void remember_affinity(int, char **, char **) { given_known = sched_getaffinity(0, sizeof given, given_set()) == 0; }
__attribute__((section(".preinit_array"), used)) void (*remember_first)(int, char **, char **) = remember_affinity;

// A constructor of the program runs after those of its libraries; CMakeLists.txt puts a static libgomp before the shim.
__attribute__((constructor)) void give_affinity_back() {
    if (given_known) {
        sched_setaffinity(0, sizeof given, given_set());
    }
}
} // namespace

void ls::mute_log(bool on) { log_muted = on; }

extern "C" void ls_log_set(ls_log_fn fn, int min_level) {
    log_min_level = min_level;
    log_sink      = fn;
    llama_log_set(on_log, nullptr);
}

extern "C" void ls_default_signals(void) {
    for (int sig : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) {
        signal(sig, SIG_DFL);
    }
}

extern "C" ls_build_info ls_get_build_info(void) {
    ls_build_info info{};
    info.llama_commit = LS_LLAMA_COMMIT;
    info.llama_source = LS_LLAMA_SOURCE;
    info.compiler     = LS_COMPILER;
    info.build_type   = LS_BUILD_TYPE;
    info.flags        = LS_FLAGS;
    info.system_info  = llama_print_system_info();
    info.portable     = LS_PORTABLE;
    info.cuda_toolkit       = LS_CUDA_TOOLKIT;
    info.cuda_architectures = LS_CUDA_ARCHITECTURES;
#if LS_CUDA
    info.cuda = true;
#endif
#if defined(__OPTIMIZE__) && defined(NDEBUG)
    info.optimized = true;
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    info.sanitized = true; // GCC says it so
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    info.sanitized = true; // and clang so
#endif
#endif
    return info;
}
