package telemetry

import (
	"fmt"
	"strconv"
	"strings"
)

// UUIDString writes the 16 bytes of cuDeviceGetUuid as NVML does, "GPU-..." in groups of 8-4-4-4-12, so
// that the card that CUDA computes on can be opened here.
func UUIDString(b [16]byte) string {
	return fmt.Sprintf("GPU-%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// card is what choosing needs of each GPU that NVML lists, in its order, which is that of the PCI bus.
type card struct{ uuid, name string }

// choose finds the UUID of the card that which means:
//
//   - "GPU-...": that UUID, or the one card whose UUID begins so, as in
//     CUDA_VISIBLE_DEVICES. "MIG-..." is handed to NVML as it is.
//   - a number: CUDA's ordinal, not NVML's index. The two differ where
//     CUDA_VISIBLE_DEVICES hides or reorders cards, and where CUDA sorts by speed
//     (its default) and the cards are not alike. NVML does not know CUDA's idea of
//     speed, so that case is refused rather than guessed.
//
// getenv is os.LookupEnv.
func choose(which string, cards []card, getenv func(string) (string, bool)) (string, error) {
	if isUUID(which) {
		return byUUID(which, cards)
	}
	ordinal, err := strconv.Atoi(which)
	if err != nil || ordinal < 0 {
		return "", fmt.Errorf("telemetry: GPU %q: want a UUID (GPU-...) or CUDA's number of the device (0, 1, ...)", which)
	}
	visible, set := getenv("CUDA_VISIBLE_DEVICES")
	if !set {
		return byPosition(ordinal, cards, getenv)
	}
	// CUDA reads the list up to the first entry that names no card; what follows is hidden [CUDA C++
	// Programming Guide, environment variables].
	var seen []string
	for _, entry := range strings.Split(visible, ",") {
		entry = strings.TrimSpace(entry)
		var uuid string
		if isUUID(entry) {
			if uuid, err = byUUID(entry, cards); err != nil {
				break
			}
		} else if n, nerr := strconv.Atoi(entry); nerr != nil || n < 0 || n >= len(cards) {
			break
		} else if uuid, err = byPosition(n, cards, getenv); err != nil {
			return "", err
		}
		seen = append(seen, uuid)
	}
	if ordinal >= len(seen) {
		return "", fmt.Errorf("telemetry: CUDA sees %d GPUs (CUDA_VISIBLE_DEVICES=%q of %d): there is no number %d", len(seen), visible, len(cards), ordinal)
	}
	return seen[ordinal], nil
}

func isUUID(s string) bool { return strings.HasPrefix(s, "GPU-") || strings.HasPrefix(s, "MIG-") }

func byUUID(which string, cards []card) (string, error) {
	if strings.HasPrefix(which, "MIG-") {
		return which, nil
	}
	var found []string
	for _, c := range cards {
		if c.uuid == which {
			return which, nil
		}
		if strings.HasPrefix(c.uuid, which) {
			found = append(found, c.uuid)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("telemetry: no GPU here has the UUID %s", which)
	case 1:
		return found[0], nil
	default:
		return "", fmt.Errorf("telemetry: %d GPUs here have a UUID that begins with %s", len(found), which)
	}
}

// byPosition takes a number of CUDA's unfiltered list.
func byPosition(n int, cards []card, getenv func(string) (string, bool)) (string, error) {
	if n >= len(cards) {
		return "", fmt.Errorf("telemetry: there is no GPU number %d: %d are here", n, len(cards))
	}
	if order, _ := getenv("CUDA_DEVICE_ORDER"); order != "PCI_BUS_ID" {
		for _, c := range cards {
			if c.name != cards[0].name {
				return "", fmt.Errorf("telemetry: CUDA sorts GPUs by speed, and %s and %s are here: name the GPU by its UUID, or set CUDA_DEVICE_ORDER=PCI_BUS_ID", cards[0].name, c.name)
			}
		}
	}
	return cards[n].uuid, nil
}
