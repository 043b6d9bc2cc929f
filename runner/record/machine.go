package record

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
)

// Machine is what a manifest tells of a machine that measured. Machines of one type are equal but for their node.
type Machine struct {
	CPU       string   `json:"cpu"`
	Cores     int      `json:"logical_cores"` // of the machine, whatever a job may use of them
	MemoryGiB float64  `json:"memory_gib"`    // rounded up: how much the kernel keeps for itself differs by version
	GPUs      []string `json:"gpus"`          // names, of all that the driver knows
	Driver    string   `json:"gpu_driver"`
	Node      string   `json:"node"` // the machine's name, or a hash of it
}

// hashed is the beginning of a hash: long enough for the machines of a cluster.
func hashed(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:4])
}

// HashedNode stands for a machine's name where that is not told. Who knows the names of a cluster can find it out.
func HashedNode(name string) string { return hashed("node " + name) }

// ID names the machine in records: its type, and its node.
func (m Machine) ID() string {
	hardware := m
	hardware.Node = ""
	facts, err := json.Marshal(hardware)
	if err != nil { // texts and finite numbers
		panic("record: " + err.Error())
	}
	return hashed(string(facts)) + "-" + m.Node
}

// MachineType is the type in a machine's ID.
func MachineType(id string) string {
	kind, _, _ := strings.Cut(id, "-")
	return kind
}
