package protocol

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/fnv"
	"math/rand/v2"
)

// MaxRecordedIDs is how many token ids a record holds in full; longer lists are
// kept as their hash (and, for drawn prompts, their seed).
const MaxRecordedIDs = 1024

// PromptSeed derives the seed of one call's prompt from the run's seed. It
// depends on the scenario and the call alone: all models of one vocabulary size
// get the same draw, and a resumed run the same as an uninterrupted one.
func PromptSeed(runSeed int64, scenario string, callIdx int) int64 {
	h := fnv.New64a()
	h.Write([]byte(scenario))
	// SplitMix64's finalizer (Steele, Lea, Flood 2014) spreads neighbouring calls.
	z := uint64(runSeed) ^ h.Sum64() + 0x9e3779b97f4a7c15*uint64(callIdx+1)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return int64((z ^ z>>31) >> 11) // 53 bits: whole in every JSON reader
}

// DepthSeed derives from the run's seed that of the tokens which precede a call. All calls have the same, so that the
// cache need not be filled for each.
func DepthSeed(runSeed int64) int64 { return PromptSeed(runSeed, "depth", 0) }

// SequenceSeed derives the seed of one sequence's ids from that of a call. The first has the call's own: it is the prompt
// of the same call with one sequence.
func SequenceSeed(seed int64, sequence int) int64 {
	if sequence == 0 {
		return seed
	}
	return PromptSeed(seed, "sequence", sequence)
}

// DrawPrompt returns n token ids, uniform over the vocabulary. Fresh ids for each
// repetition keep a mixture of experts from warming one expert and a cache from
// holding one embedding row.
func DrawPrompt(seed int64, n, vocab int) []int32 {
	r := rand.New(rand.NewPCG(uint64(seed), 0))
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(r.IntN(vocab))
	}
	return ids
}

// HashIDs is the SHA-256 of ids as little-endian int32, in lower-case hex.
func HashIDs(ids []int32) string {
	h := sha256.New()
	var b [4]byte
	for _, id := range ids {
		binary.LittleEndian.PutUint32(b[:], uint32(id))
		h.Write(b[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// RecordedIDs returns those of the sequences' ids, one sequence behind the other, that a record may hold: whole sequences
// from the first on, nil if not even that one.
func RecordedIDs(ids []int32, sequences int) []int32 {
	each := len(ids) / max(1, sequences)
	if each > MaxRecordedIDs {
		return nil
	}
	if len(ids) <= MaxRecordedIDs {
		return ids
	}
	return ids[:MaxRecordedIDs/each*each]
}
