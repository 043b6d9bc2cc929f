/* A libnvidia-ml.so.1 with one card, for the test that goes through the dynamic loader: NVIDIA's header
 * fixes the layouts, this file the answers. It lacks nvmlDeviceGetCurrentClocksEventReasons, as drivers
 * before R535 do, and the processes of MPS. */
#include "nvml.h"

#include <stdio.h>
#include <string.h>

#define CARD ((nvmlDevice_t) {(struct nvmlDevice_st *) 0x1234})
#define TEXT(to, size, text) (snprintf((to), (size), "%s", (text)), NVML_SUCCESS)

static unsigned long long energy_mj = 7000000;

nvmlReturn_t nvmlInit_v2(void) { return NVML_SUCCESS; }
nvmlReturn_t nvmlShutdown(void) { return NVML_SUCCESS; }
const char * nvmlErrorString(nvmlReturn_t r) { return r == NVML_ERROR_NOT_SUPPORTED ? "Not Supported" : "Some Error"; }
nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int * n) { *n = 1; return NVML_SUCCESS; }
nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int i, nvmlDevice_t * d) { *d = CARD; return i == 0 ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT; }
nvmlReturn_t nvmlDeviceGetHandleByUUID(const char * uuid, nvmlDevice_t * d) { *d = CARD; return strcmp(uuid, "GPU-stub") == 0 ? NVML_SUCCESS : NVML_ERROR_NOT_FOUND; }
nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t d, char * to, unsigned int size) { return d.handle == CARD.handle ? TEXT(to, size, "GPU-stub") : NVML_ERROR_INVALID_ARGUMENT; }
nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t d, char * to, unsigned int size) { (void) d; return TEXT(to, size, "Stub"); }
nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t d, nvmlMemory_v2_t * m) {
    (void) d;
    if (m->version != nvmlMemory_v2) {
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    }
    m->total = 1000; m->reserved = 10; m->used = 300; m->free = 690;
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t d, int n, nvmlFieldValue_t * v) {
    (void) d;
    for (int i = 0; i < n; i++) {
        v[i].nvmlReturn = v[i].fieldId == NVML_FI_DEV_POWER_INSTANT ? NVML_SUCCESS : NVML_ERROR_NOT_SUPPORTED;
        v[i].valueType  = NVML_VALUE_TYPE_UNSIGNED_INT;
        v[i].value.uiVal = 123456;
    }
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetTotalEnergyConsumption(nvmlDevice_t d, unsigned long long * mj) { (void) d; *mj = energy_mj++; return NVML_SUCCESS; }
nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t d, nvmlClockType_t c, unsigned int * mhz) { (void) d; *mhz = c == NVML_CLOCK_SM ? 1500 : 9500; return NVML_SUCCESS; }
nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t d, nvmlTemperatureSensors_t s, unsigned int * c) { (void) d; (void) s; *c = 44; return NVML_SUCCESS; }
nvmlReturn_t nvmlDeviceGetCurrentClocksThrottleReasons(nvmlDevice_t d, unsigned long long * r) { (void) d; *r = nvmlClocksEventReasonSwPowerCap; return NVML_SUCCESS; }
nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t d, unsigned int * n, nvmlProcessInfo_t * p) {
    (void) d;
    if (*n < 2) {
        *n = 2;
        return NVML_ERROR_INSUFFICIENT_SIZE;
    }
    *n = 2;
    p[0].pid = 11; p[0].usedGpuMemory = 64 << 20;
    p[1].pid = 12; p[1].usedGpuMemory = (unsigned long long) NVML_VALUE_NOT_AVAILABLE;
    return NVML_SUCCESS;
}
nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v3(nvmlDevice_t d, unsigned int * n, nvmlProcessInfo_t * p) { (void) d; (void) p; *n = 0; return NVML_SUCCESS; }
nvmlReturn_t nvmlSystemGetProcessName(unsigned int pid, char * to, unsigned int size) { return pid == 11 ? TEXT(to, size, "stranger") : NVML_ERROR_NOT_FOUND; }
