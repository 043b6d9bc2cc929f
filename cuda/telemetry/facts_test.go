package telemetry

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestDescribe(t *testing.T) {
	facts, err := Describe(newFake())
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(facts)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"gpu_name":"NVIDIA H100 80GB HBM3","gpu_uuid":"GPU-1","driver_version":"580.95.05","cuda_driver_version":"13.1",` +
		`"vbios_version":"96.00.74","pci_bus_id":"00000000:19:00.0","ecc_enabled":true,"ecc_corrected_volatile":7,` +
		`"ecc_uncorrected_volatile":0,"power_limit_w":650,"power_limit_default_w":700,"power_limit_enforced_w":600,` +
		`"sm_clock_max_mhz":1980,"memory_clock_max_mhz":2619,"persistence_mode":true,"mig_mode":false,` +
		`"compute_mode":"default","memory_total_mib":81920,"memory_reserved_mib":500,"memory_used_includes_reserved":false,"null_reasons":{}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestDescribeSaysWhatItDoesNotKnow(t *testing.T) {
	for method, fields := range map[string][]string{
		"Name": {"gpu_name"}, "UUID": {"gpu_uuid"}, "DriverVersion": {"driver_version"}, "CUDADriverVersion": {"cuda_driver_version"},
		"VBIOSVersion": {"vbios_version"}, "PCIBusID": {"pci_bus_id"}, "ECCEnabled": {"ecc_enabled"},
		"ECCErrors(false)": {"ecc_corrected_volatile"}, "ECCErrors(true)": {"ecc_uncorrected_volatile"},
		"PowerLimit": {"power_limit_w"}, "DefaultPowerLimit": {"power_limit_default_w"}, "EnforcedPowerLimit": {"power_limit_enforced_w"},
		"MaxSMClock": {"sm_clock_max_mhz"}, "MaxMemoryClock": {"memory_clock_max_mhz"}, "PersistenceMode": {"persistence_mode"},
		"MIGMode": {"mig_mode"}, "ComputeMode": {"compute_mode"},
		"Memory": {"memory_total_mib", "memory_reserved_mib", "memory_used_includes_reserved"},
	} {
		f := newFake()
		f.errs[method] = nvmlError("nvmlThis", CodeNotSupported)
		facts, err := Describe(f)
		if err != nil {
			t.Fatalf("%s: %v", method, err)
		}
		b, err := json.Marshal(facts)
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		nulls := 0
		for _, v := range m {
			if v == nil {
				nulls++
			}
		}
		if nulls != len(fields) || len(facts.NullReasons) != len(fields) {
			t.Errorf("%s refused: %d nulls, reasons %v", method, nulls, facts.NullReasons)
		}
		for _, field := range fields {
			if m[field] != nil || !strings.Contains(facts.NullReasons[field], "nvmlThis") {
				t.Errorf("%s refused: %s is %v because of %q", method, field, m[field], facts.NullReasons[field])
			}
		}
	}
}

func TestDescribeOldDriverAndLostGPU(t *testing.T) {
	f := newFake()
	f.memory.HasReserved = false
	facts, err := Describe(f)
	if err != nil || facts.MemoryReservedMiB != nil || !*facts.MemoryUsedIncludesRsvd || !strings.Contains(facts.NullReasons["memory_reserved_mib"], "R510") {
		t.Errorf("%v, %+v", err, facts)
	}
	f.errs["PowerLimit"] = nvmlError("nvmlDeviceGetPowerManagementLimit", CodeGPUIsLost)
	facts, err = Describe(f)
	if !errors.Is(err, CodeGPUIsLost) || facts.Name == nil || facts.PowerLimitW != nil {
		t.Errorf("%v, %+v", err, facts)
	}
}

func TestChoose(t *testing.T) {
	alike := []card{{"GPU-aa11", "H100"}, {"GPU-aa22", "H100"}, {"GPU-bb33", "H100"}}
	mixed := []card{{"GPU-aa11", "T400"}, {"GPU-bb33", "H100"}}
	for _, tc := range []struct {
		which          string
		cards          []card
		visible, order string // "-" is not set
		want, fails    string
	}{
		{"GPU-aa22", alike, "-", "-", "GPU-aa22", ""},
		{"GPU-bb", alike, "-", "-", "GPU-bb33", ""},
		{"GPU-aa", alike, "-", "-", "", "2 GPUs here have a UUID that begins with GPU-aa"},
		{"GPU-cc", alike, "-", "-", "", "no GPU here has the UUID GPU-cc"},
		{"MIG-1", alike, "-", "-", "MIG-1", ""},
		{"0", alike, "-", "-", "GPU-aa11", ""},
		{"2", alike, "-", "-", "GPU-bb33", ""},
		{"3", alike, "-", "-", "", "no GPU number 3: 3 are here"},
		{"-1", alike, "-", "-", "", "want a UUID"},
		{"first", alike, "-", "-", "", "want a UUID"},
		{"", alike, "-", "-", "", "want a UUID"},
		// CUDA sorts by speed unless told otherwise, and NVML does not know that order.
		{"0", mixed, "-", "-", "", "CUDA sorts GPUs by speed"},
		{"0", mixed, "-", "FASTEST_FIRST", "", "CUDA sorts GPUs by speed"},
		{"1", mixed, "-", "PCI_BUS_ID", "GPU-bb33", ""},
		{"GPU-bb33", mixed, "-", "-", "GPU-bb33", ""},
		// Visible devices are numbered anew.
		{"0", alike, "2", "-", "GPU-bb33", ""},
		{"1", alike, "2,0", "-", "GPU-aa11", ""},
		{"1", alike, " 2 , 1 ", "-", "GPU-aa22", ""},
		{"0", alike, "GPU-bb", "-", "GPU-bb33", ""},
		{"0", mixed, "GPU-bb33", "-", "GPU-bb33", ""},
		{"0", mixed, "1", "-", "", "CUDA sorts GPUs by speed"},
		{"0", mixed, "1", "PCI_BUS_ID", "GPU-bb33", ""},
		{"0", alike, "MIG-7", "-", "MIG-7", ""},
		{"1", alike, "2", "-", "", "CUDA sees 1 GPUs"},
		{"0", alike, "", "-", "", "CUDA sees 0 GPUs"},
		{"0", alike, "-1", "-", "", "CUDA sees 0 GPUs"},
		{"1", alike, "0,-1,1", "-", "", "CUDA sees 1 GPUs"}, // what follows the first wrong entry is hidden
		{"1", alike, "0,7,1", "-", "", "CUDA sees 1 GPUs"},
		{"1", alike, "0,GPU-zz,1", "-", "", "CUDA sees 1 GPUs"},
		{"GPU-aa11", alike, "2", "-", "GPU-aa11", ""}, // a UUID is that card, seen by CUDA or not
	} {
		got, err := choose(tc.which, tc.cards, func(name string) (string, bool) {
			v := map[string]string{"CUDA_VISIBLE_DEVICES": tc.visible, "CUDA_DEVICE_ORDER": tc.order}[name]
			if v == "-" {
				return "", false
			}
			return v, true
		})
		if tc.fails == "" && (err != nil || got != tc.want) || tc.fails != "" && (err == nil || !strings.Contains(err.Error(), tc.fails)) {
			t.Errorf("choose(%q) with visible %q, order %q: %q, %v; want %q, %q", tc.which, tc.visible, tc.order, got, err, tc.want, tc.fails)
		}
	}
}

func TestUUIDString(t *testing.T) {
	var b [16]byte
	for i := range b {
		b[i] = byte(i)
	}
	if got, want := UUIDString(b), "GPU-00010203-0405-0607-0809-0a0b0c0d0e0f"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestClockEventTable(t *testing.T) {
	names := map[string]bool{}
	for i, e := range ClockEvents() {
		if e.Bit != 1<<i {
			t.Errorf("event %d (%s) has bit %#x: EventsOf finds events by their place", i, e.Name, e.Bit)
		}
		if names[e.Name] || e.Meaning == "" {
			t.Errorf("event %s: twice, or without a meaning", e.Name)
		}
		names[e.Name] = true
	}
	for _, tc := range []struct {
		mask          uint64
		all, spoiling string
	}{
		{0, "", ""},
		{0x001, "gpu_idle", ""},
		{0x004, "sw_power_cap", ""},
		{0x048, "hw_slowdown hw_thermal_slowdown", "hw_slowdown hw_thermal_slowdown"},
		{0x0a5, "gpu_idle sw_power_cap sw_thermal_slowdown hw_power_brake_slowdown", "sw_thermal_slowdown hw_power_brake_slowdown"},
		{0x712, "applications_clocks_setting sync_boost display_clock_setting board_limit reliability", "sync_boost"},
		{0x801, "gpu_idle unknown_0x800", ""},
		{1 << 63, "unknown_0x8000000000000000", ""},
	} {
		if got := strings.Join(EventNames(tc.mask), " "); got != tc.all {
			t.Errorf("%#x: %q, want %q", tc.mask, got, tc.all)
		}
		if got := strings.Join(EventNames(tc.mask, Spoils), " "); got != tc.spoiling {
			t.Errorf("%#x spoils by %q, want %q", tc.mask, got, tc.spoiling)
		}
	}
	if b, _ := json.Marshal(EventNames(0)); string(b) != "[]" {
		t.Errorf("no event is %s, want []", b)
	}
	ClockEvents()[0].Name = "changed"
	if EventNames(1)[0] != "gpu_idle" {
		t.Error("a caller changed the table")
	}
}
