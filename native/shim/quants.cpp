// Decoding and checking of stored weights, by ggml itself.
#include "quants.h"

#include "common.h"
#include "ggml.h"

#include <cstring>

namespace {

// The traits of a type, or nullptr where ggml has none: its table has holes where types were removed.
const ggml_type_traits * traits_of(int32_t type) {
    if (type < 0 || type >= GGML_TYPE_COUNT) {
        return nullptr;
    }
    const ggml_type_traits * t = ggml_get_type_traits(ggml_type(type));
    return t->type_size > 0 && t->blck_size > 0 ? t : nullptr;
}

} // namespace

extern "C" int ls_dequantize(int32_t type, const void * src, size_t size, int64_t n_elements, float * dst, ls_error * err) {
    const ggml_type_traits * t = traits_of(type);
    if (t == nullptr || (t->to_float == nullptr && type != GGML_TYPE_F32)) {
        return ls::fail(err, LS_BAD_ARG, "dequantize", "ggml has no decoder of type %d", type);
    }
    if (n_elements < 0 || n_elements % t->blck_size != 0 || size != size_t(n_elements / t->blck_size) * t->type_size) {
        return ls::fail(err, LS_BAD_ARG, "dequantize", "%zu bytes are not %lld elements of type %s", size, (long long) n_elements,
                        t->type_name);
    }
    if (t->to_float != nullptr) {
        t->to_float(src, dst, n_elements);
    } else {
        memcpy(dst, src, size);
    }
    return LS_OK;
}

extern "C" int ls_validate_row(int32_t type, const void * src, size_t size, ls_error * err) {
    const ggml_type_traits * t = traits_of(type);
    if (t == nullptr || size % t->type_size != 0) {
        return ls::fail(err, LS_BAD_ARG, "validate", "%zu bytes are no whole blocks of type %d", size, type);
    }
    if (!ggml_validate_row_data(ggml_type(type), src, size)) {
        return ls::fail(err, LS_FAILED, "validate", "ggml says that these are no valid blocks of type %s", t->type_name);
    }
    return LS_OK;
}
