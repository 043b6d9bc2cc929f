package hf

import (
	"fmt"
	"sync"
	"unicode/utf8"
)

// alphabet maps the characters by which byte-level BPE writes bytes to those bytes: printable Latin-1 stands for
// itself, every other byte has a character from U+0100 on, in the order of the bytes.
var alphabet = sync.OnceValue(func() map[rune]byte {
	table := make(map[rune]byte, 256)
	next := rune(0x100)
	for c := range rune(256) {
		if c > ' ' && c < 0x7f || c > 0xa0 && c != 0xad {
			table[c] = byte(c)
		} else {
			table[next] = byte(c)
			next++
		}
	}
	return table
})

// checkBytes refuses a vocabulary that is not byte-level: one with a token of other characters, or without a token
// for each byte; and merges of what are no tokens.
func (b *builder) checkBytes() error {
	table := alphabet()
	for text, id := range b.ids {
		if text == "" {
			return &Error{b.path, fmt.Sprintf("token %d", id), "it is empty", "a text"}
		}
		if b.all[text] || b.added[id].Content == text {
			continue // matched whole, not built from bytes
		}
		for _, r := range text {
			if _, ok := table[r]; !ok {
				return &Error{b.path, fmt.Sprintf("token %q (id %d)", cut(text), id), fmt.Sprintf("%q is not in GPT-2's alphabet of bytes", r), "a byte-level BPE vocabulary"}
			}
		}
	}
	for r, c := range table {
		if _, ok := b.ids[string(r)]; !ok {
			return &Error{b.path, fmt.Sprintf("token %q", r), fmt.Sprintf("the vocabulary has no token for byte 0x%02x", c), "a byte-level BPE vocabulary, which has all 256"}
		}
	}
	ranks := make(map[[2]string]int, len(b.merges))
	for i, m := range b.merges {
		for _, text := range []string{m[0], m[1], m[0] + m[1]} {
			if _, ok := b.ids[text]; !ok || m[0] == "" || m[1] == "" || !utf8.ValidString(text) {
				return &Error{b.mergesPath, b.where(i), fmt.Sprintf("%q and %q make %q, but %q is no token of the vocabulary", cut(m[0]), cut(m[1]), cut(m[0]+m[1]), cut(text)), "merges and vocabulary that belong together"}
			}
		}
		if first, twice := ranks[m]; twice {
			return &Error{b.mergesPath, b.where(i), fmt.Sprintf("%q and %q are merged in %s already", cut(m[0]), cut(m[1]), b.where(first)), "each merge once"}
		}
		ranks[m] = i
	}
	return nil
}
