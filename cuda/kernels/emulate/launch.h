// Running an emulated kernel by its name, as the driver does.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

namespace emulated {

struct kernel {
    const char *        name;
    const char *        file; // the .cu file that it stands in, without .cu
    std::vector<size_t> parameter_bytes;
    // params[i] points to parameter i. Throws std::runtime_error.
    std::function<void(unsigned grid, unsigned block, void ** params)> run;
};

const std::vector<kernel> & kernels();

// Runs body once for each thread of each block. Throws std::runtime_error.
void launch(const std::function<void()> & body, unsigned grid, unsigned block);

} // namespace emulated
