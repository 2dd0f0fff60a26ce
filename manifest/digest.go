// Package manifest holds the documents that describe a job: the job a client asks for,
// the manifest that records what became of it, and the words both are written in.
package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// DigestSize is the length in bytes of a raw digest.
const DigestSize = sha256.Size

// Sum is the raw SHA-256 of some content, the key of an object in a pack.
type Sum [DigestSize]byte

// Digest is a Sum as documents write it: "sha256:" and 64 hex digits. The empty Digest means "none".
type Digest string

// SumOf returns the SHA-256 of data.
func SumOf(data []byte) Sum { return sha256.Sum256(data) }

// Digest returns the written form of s.
func (s Sum) Digest() Digest { return Digest("sha256:" + hex.EncodeToString(s[:])) }

// String returns the 64 hex digits of s.
func (s Sum) String() string { return hex.EncodeToString(s[:]) }

// IsZero tells whether s was never set.
func (s Sum) IsZero() bool { return s == Sum{} }

// Sum returns the raw form of d, or an error naming what is wrong with its writing.
func (d Digest) Sum() (Sum, error) {
	var s Sum
	digits, ok := strings.CutPrefix(string(d), "sha256:")
	if !ok || len(digits) != hex.EncodedLen(DigestSize) || strings.ToLower(digits) != digits {
		return s, fmt.Errorf("unable to read digest %q: want sha256: and 64 lower-case hex digits", string(d))
	}
	if _, err := hex.Decode(s[:], []byte(digits)); err != nil {
		return s, fmt.Errorf("unable to read digest %q: %w", string(d), err)
	}
	return s, nil
}

// Short returns the first 12 hex digits of d, for people.
func (d Digest) Short() string {
	digits := strings.TrimPrefix(string(d), "sha256:")
	return digits[:min(12, len(digits))]
}
