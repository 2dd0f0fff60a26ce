package manifest

import (
	"crypto/rand"
	"encoding/base32"
	"strings"
)

// IDLength is the number of characters in a job's id: 80 random bits in base32.
const IDLength = 16

const idAlphabet = "abcdefghijklmnopqrstuvwxyz234567"

var idEncoding = base32.NewEncoding(idAlphabet).WithPadding(base32.NoPadding)

// NewID makes a job's id. The client makes it before it connects, so that sending a job
// twice over a bad line is still one job.
func NewID() string {
	var bits [10]byte
	rand.Read(bits[:])
	return idEncoding.EncodeToString(bits[:])
}

// ValidID tells whether s is a whole job id. Everything that becomes part of a path is asked first.
func ValidID(s string) bool { return len(s) == IDLength && ValidIDPrefix(s) }

// ValidIDPrefix tells whether s could be the beginning of a job's id.
func ValidIDPrefix(s string) bool {
	return s != "" && len(s) <= IDLength && strings.Trim(s, idAlphabet) == ""
}
