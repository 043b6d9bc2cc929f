package record

import "bytes"

// maxDepth is how deep lists and objects lie in each other where they are cut: the values of no field lie deeper than two.
const maxDepth = 8

// valueEnd is where the JSON value that begins at i ends; -1 where there is none, where it has blanks, or lies too deep. It
// holds values to the grammar of JSON as json.Valid does, in one pass that finds the end too.
func valueEnd(data []byte, i, depth int) int {
	if i >= len(data) || depth == 0 {
		return -1
	}
	switch data[i] {
	case '"':
		return textEnd(data, i)
	case 'n':
		return wordEnd(data, i, "null")
	case 't':
		return wordEnd(data, i, "true")
	case 'f':
		return wordEnd(data, i, "false")
	case '[', '{':
		closing := data[i] + 2 // in ASCII
		if i++; i < len(data) && data[i] == closing {
			return i + 1
		}
		for {
			if closing == '}' {
				if i >= len(data) || data[i] != '"' {
					return -1
				}
				if i = textEnd(data, i); i < 0 || i >= len(data) || data[i] != ':' {
					return -1
				}
				i++
			}
			if i = valueEnd(data, i, depth-1); i < 0 || i >= len(data) {
				return -1
			}
			switch data[i] {
			case closing:
				return i + 1
			case ',':
				i++
			default:
				return -1
			}
		}
	}
	return numberEnd(data, i)
}

func wordEnd(data []byte, i int, word string) int {
	if !bytes.HasPrefix(data[i:], []byte(word)) {
		return -1
	}
	return i + len(word)
}

// textEnd is where a text ends that begins with the quote at i.
func textEnd(data []byte, i int) int {
	for i++; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			return i + 1
		case c < ' ':
			return -1
		case c == '\\':
			if i++; i >= len(data) {
				return -1
			}
			if data[i] == 'u' {
				if i+4 >= len(data) {
					return -1
				}
				for range 4 {
					if i++; bytes.IndexByte([]byte("0123456789abcdefABCDEF"), data[i]) < 0 {
						return -1
					}
				}
			} else if bytes.IndexByte([]byte(`"\/bfnrt`), data[i]) < 0 {
				return -1
			}
		}
	}
	return -1
}

func numberEnd(data []byte, i int) int {
	if data[i] == '-' {
		i++
	}
	if i < len(data) && data[i] == '0' {
		i++
	} else if i = digitsEnd(data, i); i < 0 {
		return -1
	}
	if i < len(data) && data[i] == '.' {
		if i = digitsEnd(data, i+1); i < 0 {
			return -1
		}
	}
	if i < len(data) && data[i]|0x20 == 'e' {
		if i++; i < len(data) && (data[i] == '+' || data[i] == '-') {
			i++
		}
		return digitsEnd(data, i)
	}
	return i
}

// digitsEnd is where digits end, of which there is one at least.
func digitsEnd(data []byte, i int) int {
	from := i
	for i < len(data) && data[i]-'0' <= 9 {
		i++
	}
	if i == from {
		return -1
	}
	return i
}
