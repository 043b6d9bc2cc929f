//go:build cuda

package telemetry

import (
	"encoding/binary"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/dgxa100"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/server"
)

// The plain half of the package has its own copies of NVML's numbers.
func TestNumbersAreNVMLs(t *testing.T) {
	for ours, theirs := range map[Code]nvml.Return{
		CodeUninitialized: nvml.ERROR_UNINITIALIZED, CodeInvalidArgument: nvml.ERROR_INVALID_ARGUMENT,
		CodeNotSupported: nvml.ERROR_NOT_SUPPORTED, CodeNoPermission: nvml.ERROR_NO_PERMISSION,
		CodeDriverNotLoaded: nvml.ERROR_DRIVER_NOT_LOADED, CodeLibraryNotFound: nvml.ERROR_LIBRARY_NOT_FOUND,
		CodeFunctionNotFound: nvml.ERROR_FUNCTION_NOT_FOUND, CodeGPUIsLost: nvml.ERROR_GPU_IS_LOST,
		CodeResetRequired: nvml.ERROR_RESET_REQUIRED, CodeVersionMismatch: nvml.ERROR_LIB_RM_VERSION_MISMATCH,
		CodeGPUNotFound: nvml.ERROR_GPU_NOT_FOUND,
	} {
		if int32(ours) != int32(theirs) {
			t.Errorf("%v is %d in NVML", ours, int32(theirs))
		}
	}
	bits := map[string]uint64{
		"gpu_idle": nvml.ClocksEventReasonGpuIdle, "applications_clocks_setting": nvml.ClocksEventReasonApplicationsClocksSetting,
		"sw_power_cap": nvml.ClocksEventReasonSwPowerCap, "hw_slowdown": nvml.ClocksThrottleReasonHwSlowdown,
		"sync_boost": nvml.ClocksEventReasonSyncBoost, "sw_thermal_slowdown": nvml.ClocksEventReasonSwThermalSlowdown,
		"hw_thermal_slowdown": nvml.ClocksThrottleReasonHwThermalSlowdown, "hw_power_brake_slowdown": nvml.ClocksThrottleReasonHwPowerBrakeSlowdown,
		"display_clock_setting": nvml.ClocksEventReasonDisplayClockSetting, "board_limit": nvml.ClocksEventReasonBoardLimit,
		"reliability": nvml.ClocksEventReasonReliability,
	}
	all := uint64(0)
	for _, e := range ClockEvents() {
		if bits[e.Name] != e.Bit {
			t.Errorf("%s is %#x in NVML, %#x here", e.Name, bits[e.Name], e.Bit)
		}
		all |= e.Bit
	}
	if all != nvml.ClocksEventReasonAll {
		t.Errorf("NVML has the reasons %#x, the table %#x", nvml.ClocksEventReasonAll, all)
	}
}

func noEnv(string) (string, bool) { return "", false }

// machine is NVIDIA's mock of a machine with eight A100, its first card answering as set.
func machine(lacking ...string) (*server.Server, *server.Device) {
	s := dgxa100.New()
	s.ExtensionsFunc = func() nvml.ExtendedInterface {
		return &mock.ExtendedInterface{LookupSymbolFunc: func(name string) error {
			for _, l := range lacking {
				if l == name {
					return errors.New("undefined symbol: " + name)
				}
			}
			return nil
		}}
	}
	return s, s.Devices[0].(*server.Device)
}

func openFirst(t *testing.T, s *server.Server) *GPU {
	t.Helper()
	uuid, _ := s.Devices[0].GetUUID()
	g, err := openWith(s, uuid, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestOpen(t *testing.T) {
	s, _ := machine()
	uuids := []string{}
	for _, d := range s.Devices {
		u, _ := d.GetUUID()
		uuids = append(uuids, u)
	}
	if len(uuids) != 8 {
		t.Fatalf("%d cards", len(uuids))
	}
	visible := func(list string) func(string) (string, bool) {
		return func(name string) (string, bool) { return list, name == "CUDA_VISIBLE_DEVICES" }
	}
	for _, tc := range []struct {
		which string
		env   func(string) (string, bool)
		want  int
	}{{uuids[5], noEnv, 5}, {"3", noEnv, 3}, {"1", visible("6,2"), 2}, {"0", visible(uuids[4]), 4}} {
		g, err := openWith(s, tc.which, tc.env)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := g.UUID(); err != nil || got != uuids[tc.want] {
			t.Errorf("%q opened %s, %v; want card %d", tc.which, got, err, tc.want)
		}
		if err := errors.Join(g.Close(), g.Close()); err != nil {
			t.Error(err)
		}
	}
	if got := len(s.ShutdownCalls()); got != 4 {
		t.Errorf("NVML was shut down %d times for 4 cards opened", got)
	}

	// A container may show more cards than it lets open; CUDA does not count those.
	s.DeviceGetHandleByIndexFunc = func(i int) (nvml.Device, nvml.Return) {
		if i < 2 {
			return nil, nvml.ERROR_NO_PERMISSION
		}
		return s.Devices[i], nvml.SUCCESS
	}
	g, err := openWith(s, "0", noEnv)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := g.UUID(); got != uuids[2] {
		t.Errorf("opened %s, want the first that may be opened, %s", got, uuids[2])
	}
}

func TestOpenFails(t *testing.T) {
	for _, tc := range []struct {
		name string
		set  func(*server.Server)
		says string
		down int // NVML shut down again
	}{
		{"no library", func(s *server.Server) { s.InitFunc = func() nvml.Return { return nvml.ERROR_LIBRARY_NOT_FOUND } }, "no NVIDIA driver: libnvidia-ml.so.1 is not on this machine", 0},
		{"no driver", func(s *server.Server) { s.InitFunc = func() nvml.Return { return nvml.ERROR_DRIVER_NOT_LOADED } }, "the NVIDIA kernel driver is not loaded", 0},
		{"two versions", func(s *server.Server) { s.InitFunc = func() nvml.Return { return nvml.ERROR_LIB_RM_VERSION_MISMATCH } }, "different versions", 0},
		{"no rights", func(s *server.Server) { s.InitFunc = func() nvml.Return { return nvml.ERROR_NO_PERMISSION } }, "/dev/nvidiactl", 0},
		{"whatever", func(s *server.Server) { s.InitFunc = func() nvml.Return { return nvml.ERROR_UNKNOWN } }, "nvmlInit: ERROR_UNKNOWN", 0},
		{"no card", func(s *server.Server) { s.DeviceGetCountFunc = func() (int, nvml.Return) { return 0, nvml.SUCCESS } }, "it drives no GPU", 1},
		{"no count", func(s *server.Server) {
			s.DeviceGetCountFunc = func() (int, nvml.Return) { return 0, nvml.ERROR_UNKNOWN }
		}, "nvmlDeviceGetCount: ERROR_UNKNOWN", 1},
		{"no handle", func(s *server.Server) {
			s.DeviceGetHandleByUUIDFunc = func(string) (nvml.Device, nvml.Return) { return nil, nvml.ERROR_GPU_IS_LOST }
		}, "nvmlDeviceGetHandleByUUID: ERROR_GPU_IS_LOST", 1},
		{"card lost while listing", func(s *server.Server) {
			s.DeviceGetHandleByIndexFunc = func(int) (nvml.Device, nvml.Return) { return nil, nvml.ERROR_GPU_IS_LOST }
		}, "GPU 0: nvmlDeviceGetHandleByIndex: ERROR_GPU_IS_LOST", 1},
	} {
		s, _ := machine()
		tc.set(s)
		_, err := openWith(s, "0", noEnv)
		if err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", tc.name, err)
		}
		if got := len(s.ShutdownCalls()); got != tc.down {
			t.Errorf("%s: NVML was shut down %d times, want %d", tc.name, got, tc.down)
		}
	}
}

// scripted gives a mock card all the answers that the sampler and Describe ask for.
func scripted(d *server.Device) {
	d.GetMemoryInfo_v2Func = func() (nvml.Memory_v2, nvml.Return) {
		return nvml.Memory_v2{Total: 40 << 30, Reserved: 600 << 20, Used: 5 << 30}, nvml.SUCCESS
	}
	d.GetMemoryInfoFunc = func() (nvml.Memory, nvml.Return) { return nvml.Memory{Total: 40 << 30, Used: 6 << 30}, nvml.SUCCESS }
	d.GetFieldValuesFunc = func(v []nvml.FieldValue) nvml.Return {
		for i := range v {
			v[i].ValueType = uint32(nvml.VALUE_TYPE_UNSIGNED_INT)
			switch v[i].FieldId {
			case nvml.FI_DEV_POWER_INSTANT:
				binary.NativeEndian.PutUint32(v[i].Value[:], 312_500)
			case nvml.FI_DEV_POWER_AVERAGE:
				v[i].NvmlReturn = uint32(nvml.ERROR_NOT_SUPPORTED) // as on GA100
			}
		}
		return nvml.SUCCESS
	}
	d.GetPowerUsageFunc = func() (uint32, nvml.Return) { return 250_000, nvml.SUCCESS }
	d.GetTotalEnergyConsumptionFunc = func() (uint64, nvml.Return) { return 1 << 40, nvml.SUCCESS }
	clocks := func(now, other uint32) func(nvml.ClockType) (uint32, nvml.Return) {
		return func(c nvml.ClockType) (uint32, nvml.Return) {
			switch c {
			case nvml.CLOCK_SM:
				return now, nvml.SUCCESS
			case nvml.CLOCK_MEM:
				return other, nvml.SUCCESS
			}
			return 0, nvml.ERROR_INVALID_ARGUMENT
		}
	}
	d.GetClockInfoFunc, d.GetMaxClockInfoFunc = clocks(1275, 1215), clocks(1410, 1593)
	d.GetTemperatureFunc = func(s nvml.TemperatureSensors) (uint32, nvml.Return) { return 41, nvml.SUCCESS }
	d.GetCurrentClocksEventReasonsFunc = func() (uint64, nvml.Return) { return 0x44, nvml.SUCCESS }
	d.GetCurrentClocksThrottleReasonsFunc = func() (uint64, nvml.Return) { return 0x20, nvml.SUCCESS }
	d.GetVbiosVersionFunc = func() (string, nvml.Return) { return "92.00.45", nvml.SUCCESS }
	d.GetPciInfoFunc = func() (nvml.PciInfo, nvml.Return) {
		var p nvml.PciInfo
		for i, c := range []byte("00000000:07:00.0\x00junk") {
			p.BusId[i] = int8(c)
		}
		return p, nvml.SUCCESS
	}
	d.GetEccModeFunc = func() (nvml.EnableState, nvml.EnableState, nvml.Return) {
		return nvml.FEATURE_ENABLED, nvml.FEATURE_DISABLED, nvml.SUCCESS
	}
	d.GetTotalEccErrorsFunc = func(e nvml.MemoryErrorType, c nvml.EccCounterType) (uint64, nvml.Return) {
		if c != nvml.VOLATILE_ECC {
			return 0, nvml.ERROR_INVALID_ARGUMENT
		}
		return map[nvml.MemoryErrorType]uint64{nvml.MEMORY_ERROR_TYPE_CORRECTED: 3, nvml.MEMORY_ERROR_TYPE_UNCORRECTED: 1}[e], nvml.SUCCESS
	}
	d.GetPowerManagementLimitFunc = func() (uint32, nvml.Return) { return 350_000, nvml.SUCCESS }
	d.GetPowerManagementDefaultLimitFunc = func() (uint32, nvml.Return) { return 400_000, nvml.SUCCESS }
	d.GetEnforcedPowerLimitFunc = func() (uint32, nvml.Return) { return 300_000, nvml.SUCCESS }
	d.GetPersistenceModeFunc = func() (nvml.EnableState, nvml.Return) { return nvml.FEATURE_DISABLED, nvml.SUCCESS }
	d.GetMigModeFunc = func() (int, int, nvml.Return) { return nvml.DEVICE_MIG_DISABLE, nvml.DEVICE_MIG_ENABLE, nvml.SUCCESS }
	d.GetComputeModeFunc = func() (nvml.ComputeMode, nvml.Return) { return nvml.COMPUTEMODE_EXCLUSIVE_PROCESS, nvml.SUCCESS }
}

func TestAdaptorSamples(t *testing.T) {
	s, d := machine()
	scripted(d)
	got := newReader(openFirst(t, s), frozen).take()
	want := Sample{
		AtNS: 5, EnergyMJ: known[uint64](1 << 40), PowerInstantW: known(312.5), SMClockMHz: known(1275.0), MemoryClockMHz: known(1215.0),
		TemperatureC: known(41.0), ClockEvents: known[uint64](0x44), MemoryUsedBytes: known[uint64](5 << 30),
	}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// A function that the library lacks must not be called: the loader would end the process.
func TestAdaptorCallsNoAbsentFunction(t *testing.T) {
	s, d := machine(optionalFunctions...)
	scripted(d)
	called := func(name string) { t.Errorf("%s was called", name) }
	d.GetMemoryInfo_v2Func = func() (nvml.Memory_v2, nvml.Return) { called("v2"); return nvml.Memory_v2{}, 0 }
	d.GetFieldValuesFunc = func([]nvml.FieldValue) nvml.Return { called("fields"); return 0 }
	d.GetTotalEnergyConsumptionFunc = func() (uint64, nvml.Return) { called("energy"); return 0, 0 }
	d.GetTemperatureFunc = func(nvml.TemperatureSensors) (uint32, nvml.Return) { called("temperature"); return 0, 0 }
	d.GetCurrentClocksEventReasonsFunc = func() (uint64, nvml.Return) { called("events"); return 0, 0 }
	d.GetCurrentClocksThrottleReasonsFunc = d.GetCurrentClocksEventReasonsFunc
	d.GetMigModeFunc = func() (int, int, nvml.Return) { called("mig"); return 0, 0, 0 }
	d.GetMPSComputeRunningProcessesFunc = func() ([]nvml.ProcessInfo, nvml.Return) { called("mps"); return nil, 0 }
	d.GetComputeRunningProcessesFunc = func() ([]nvml.ProcessInfo, nvml.Return) { return nil, nvml.SUCCESS }
	d.GetGraphicsRunningProcessesFunc = d.GetComputeRunningProcessesFunc
	g := openFirst(t, s)
	r := newReader(g, frozen)
	got := r.take()
	want := Sample{AtNS: 5, PowerUsageW: known(250.0), SMClockMHz: known(1275.0), MemoryClockMHz: known(1215.0), MemoryUsedBytes: known[uint64](6 << 30)}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if why := r.nullReasons()["energy_counter_mj"]; !strings.Contains(why, "this driver does not have the function") {
		t.Errorf("reason %q", why)
	}
	if l, err := Processes(g); err != nil || !l.Complete() {
		t.Errorf("%v, %v", l, err)
	}
	if f, err := Describe(g); err != nil || f.MIGMode != nil || !*f.MemoryUsedIncludesRsvd {
		t.Errorf("%+v, %v", f, err)
	}

	// Before R535 the clock events have their old name.
	s, d = machine("nvmlDeviceGetCurrentClocksEventReasons")
	scripted(d)
	if v, err := openFirst(t, s).ClockEvents(); err != nil || v != 0x20 {
		t.Errorf("%#x, %v", v, err)
	}
}

func TestAdaptorRefusals(t *testing.T) {
	s, d := machine()
	scripted(d)
	d.GetFieldValuesFunc = func(v []nvml.FieldValue) nvml.Return {
		v[0].ValueType = uint32(nvml.VALUE_TYPE_DOUBLE)
		v[1].NvmlReturn = uint32(nvml.ERROR_UNKNOWN)
		return nvml.SUCCESS
	}
	g := openFirst(t, s)
	instant, average, err := g.PowerFields()
	if err != nil || !errors.Is(instant.Err, CodeNotSupported) || !strings.Contains(average.Err.Error(), "NVML_FI_DEV_POWER_AVERAGE): ERROR_UNKNOWN") {
		t.Errorf("%v, %v, %v", instant, average, err)
	}
	d.GetFieldValuesFunc = func([]nvml.FieldValue) nvml.Return { return nvml.ERROR_GPU_IS_LOST }
	if _, _, err := g.PowerFields(); !errors.Is(err, CodeGPUIsLost) {
		t.Error(err)
	}
	d.GetTotalEnergyConsumptionFunc = func() (uint64, nvml.Return) { return 0, nvml.ERROR_NOT_SUPPORTED }
	var e *Error
	if _, err := g.TotalEnergy(); !errors.As(err, &e) || *e != (Error{"nvmlDeviceGetTotalEnergyConsumption", CodeNotSupported, "ERROR_NOT_SUPPORTED"}) {
		t.Error(err)
	}
}

func TestAdaptorDescribes(t *testing.T) {
	s, d := machine()
	scripted(d)
	f, err := Describe(openFirst(t, s))
	if err != nil || len(f.NullReasons) != 0 {
		t.Fatal(err, f.NullReasons)
	}
	if *f.Name != "NVIDIA A100-SXM4-40GB" && *f.Name != "Mock NVIDIA A100-SXM4-40GB" {
		t.Errorf("name %q", *f.Name)
	}
	got := []any{
		*f.DriverVersion, *f.CUDADriverVersion, *f.VBIOSVersion, *f.PCIBusID, *f.ECCEnabled, *f.ECCCorrected, *f.ECCUncorrected,
		*f.PowerLimitW, *f.PowerLimitDefaultW, *f.PowerLimitEnforcedW, *f.SMClockMaxMHz, *f.MemoryClockMaxMHz,
		*f.PersistenceMode, *f.MIGMode, *f.ComputeMode, *f.MemoryTotalMiB, *f.MemoryReservedMiB, *f.MemoryUsedIncludesRsvd,
	}
	want := []any{
		"550.54.15", "12.4", "92.00.45", "00000000:07:00.0", true, uint64(3), uint64(1),
		350.0, 400.0, 300.0, 1410.0, 1593.0, false, false, "exclusive_process", 40960.0, 600.0, false,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestAdaptorListsProcesses(t *testing.T) {
	s, d := machine()
	scripted(d)
	d.GetComputeRunningProcessesFunc = func() ([]nvml.ProcessInfo, nvml.Return) {
		return []nvml.ProcessInfo{{Pid: 10, UsedGpuMemory: 900 << 20}, {Pid: 11, UsedGpuMemory: ^uint64(0)}}, nvml.SUCCESS
	}
	d.GetGraphicsRunningProcessesFunc = func() ([]nvml.ProcessInfo, nvml.Return) { return nil, nvml.ERROR_NOT_SUPPORTED }
	d.GetMPSComputeRunningProcessesFunc = func() ([]nvml.ProcessInfo, nvml.Return) {
		return []nvml.ProcessInfo{{Pid: 12, UsedGpuMemory: 1 << 20}}, nvml.SUCCESS
	}
	s.SystemGetProcessNameFunc = func(pid int) (string, nvml.Return) {
		if pid == 10 {
			return "python3", nvml.SUCCESS
		}
		return "", nvml.ERROR_NOT_FOUND
	}
	got, err := Processes(openFirst(t, s))
	if err != nil {
		t.Fatal(err)
	}
	want := Listing{
		Processes: []Process{
			{PID: 10, Kinds: []string{"compute"}, Name: "python3", UsedBytes: mibs(900)},
			{PID: 11, Kinds: []string{"compute"}},
			{PID: 12, Kinds: []string{"mps"}, UsedBytes: mibs(1)},
		},
		Unknown: map[string]string{"graphics": "nvmlDeviceGetGraphicsRunningProcesses: ERROR_NOT_SUPPORTED"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// Where the library is absent, the reason must be one that helps.
func TestWithoutDriver(t *testing.T) {
	lib := nvml.New(nvml.WithLibraryPath("libnvidia-ml-that-is-nowhere.so.1"))
	_, err := openWith(lib, "0", noEnv)
	if want := "telemetry: no NVIDIA driver: libnvidia-ml.so.1 is not on this machine"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// The real card, where there is one: everything it tells must be plausible, and the energy must agree with the power.
func TestRealGPU(t *testing.T) {
	if err := Available(); err != nil {
		t.Skip(err)
	}
	which := os.Getenv("LLMSCALE_TEST_GPU")
	if which == "" {
		which = "0"
	}
	g, err := Open(which)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	facts, err := Describe(g)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s, %s, driver %s; not known: %v", *facts.Name, *facts.UUID, *facts.DriverVersion, facts.NullReasons)
	if again, err := Open(*facts.UUID); err != nil {
		t.Errorf("open by the UUID it gave: %v", err)
	} else if err := again.Close(); err != nil {
		t.Error(err)
	}
	listing, err := Processes(g)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("processes %v, unknown %v", listing.Processes, listing.Unknown)

	s := Start(g, DefaultEvery)
	time.Sleep(3 * time.Second)
	series := s.Stop()
	first, last := series.Samples[0].AtNS, series.Samples[len(series.Samples)-1].AtNS
	w := Summarise(series, first+Settle.Nanoseconds(), last-Settle.Nanoseconds())
	t.Logf("cost %+v, skipped %d, not told %v", series.Cost, series.Skipped, series.NullReasons)
	t.Logf("VRAM %v MiB, power %v W, energy %v ± %v J (%v W by the counter, %d ticks of %v ms), SM %v MHz, %v C, %v", deref(w.VRAMPeakMiB),
		deref(w.PowerMeanW), deref(w.EnergyJ), deref(w.EnergyUncertaintyJ), deref(w.EnergyPowerW), w.EnergyTicks, deref(w.EnergyTickMS),
		deref(w.SMClockMedianMHz), deref(w.TemperatureMaxC), w.ClockEvents)
	checkReasons(t, w)
	between := func(name string, v *float64, least, most float64) {
		if v != nil && (*v < least || *v > most) {
			t.Errorf("%s is %g, want %g to %g", name, *v, least, most)
		}
	}
	between("power", w.PowerMeanW, 1, 2000)
	between("temperature", w.TemperatureMaxC, 5, 110)
	if facts.MemoryTotalMiB != nil {
		between("VRAM", w.VRAMPeakMiB, 0, *facts.MemoryTotalMiB)
	}
	if facts.SMClockMaxMHz != nil {
		between("SM clock", w.SMClockMedianMHz, 50, *facts.SMClockMaxMHz)
	}
	if w.EnergyPowerW != nil && w.PowerMeanW != nil {
		// The same sensor twice, but it looks a quarter of the time on some cards, and one that has
		// just worked is on its way down.
		between("power by the energy counter", w.EnergyPowerW, *w.PowerMeanW/2, *w.PowerMeanW*2)
	}
}
