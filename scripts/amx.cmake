# GCC's _tile_loadconfig tells the compiler that it reads 8 bytes where the CPU reads 64 (amxtileintrin.h, seen in GCC 12),
# so that the stores to the rest are dropped as dead, and a CPU with AMX faults in ggml-cpu/amx/mmq.cpp
# (ggml-org/llama.cpp#20824). That file is compiled without dropping dead stores where the header is such a one.
# Included by CMakeLists.txt, and by upstream's own build at its project() (scripts/llama-bench).
function(llmscale_amx)
    set(flags "")
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
        file(WRITE "${CMAKE_BINARY_DIR}/amx_header.cpp" "#include <immintrin.h>\n")
        execute_process(COMMAND "${CMAKE_CXX_COMPILER}" -mamx-tile -E -P "${CMAKE_BINARY_DIR}/amx_header.cpp"
            OUTPUT_VARIABLE header ERROR_QUIET)
        if("${header}" MATCHES "ldtilecfg[^)]*const void \\*\\*")
            set(flags -fno-tree-dse -fno-dse) # the first alone does not do
            get_target_property(folder ggml-cpu SOURCE_DIR)
            set_source_files_properties("${folder}/ggml-cpu/amx/mmq.cpp" TARGET_DIRECTORY ggml-cpu
                PROPERTIES COMPILE_OPTIONS "${flags}")
        endif()
    endif()
    set(llmscale_amx_flags "${flags}" PARENT_SCOPE)
endfunction()

if(PROJECT_NAME STREQUAL "llama.cpp" AND CMAKE_SOURCE_DIR STREQUAL PROJECT_SOURCE_DIR)
    cmake_language(DEFER CALL llmscale_amx) # once ggml-cpu is there
endif()
