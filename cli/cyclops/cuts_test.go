//go:build linux

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/remote/sshtest"
)

// long tells whether to run the long form of a test: see make cuts.
func long() bool { return os.Getenv("CYCLOPS_LONG") != "" }

// cutEvery resets the line n times, spread over size bytes, and counts in what it returns.
func cutEvery(line *sshtest.Cutter, size int64, n int) *atomic.Int64 {
	cuts := new(atomic.Int64)
	random := rand.New(rand.NewPCG(1, uint64(n)))
	mean := size * 9 / 10 / int64(n)
	var cut func()
	next := func() { line.OnBytes(mean/2+random.Int64N(mean), cut) }
	cut = func() {
		if line.Reset() > 0 && cuts.Add(1) == int64(n) {
			return
		}
		next()
	}
	next()
	return cuts
}

// noisy fills the user's tree with files of many sizes that no packer makes smaller.
func (u *client) noisy(size int64) {
	u.t.Helper()
	noise := rand.NewChaCha8([32]byte{1})
	for i, left := 0, size; left > 0; i++ {
		n := min(left, []int64{0, 1, 100, 3_000, 40_000, 1 << 20, 9 << 20}[i%7])
		data := make([]byte, n)
		_, _ = noise.Read(data)
		u.write(fmt.Sprintf("in/%d/%d", i%5, i), string(data), 0o644)
		left -= max(n, 1)
	}
}

// sums are the digests of the files below a directory of the tree, as sha256sum prints them.
func (u *client) sums(dir string) map[string]string {
	u.t.Helper()
	sums := map[string]string{}
	root := filepath.Join(u.tree, dir)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		digest := sha256.Sum256(data)
		sums[strings.TrimPrefix(path, root+"/")] = hex.EncodeToString(digest[:])
		return err
	})
	if err != nil {
		u.t.Fatal(err)
	}
	return sums
}

// TestUploadAndFetchThroughCuts sends a tree and fetches it again over a line that is reset again
// and again: each file must come out as it went in, on the host and here.
func TestUploadAndFetchThroughCuts(t *testing.T) {
	t.Parallel()
	size, n := int64(20<<20), 8
	if long() {
		size, n = 300<<20, 100
	}
	server := sshtest.Start(t, sshtest.Options{Name: "lab", Extra: []string{"MaxStartups 100"}})
	line := server.Cutter()
	u := newUser(t, server)
	u.env = append(u.env, "CYCLOPS_SSH_CONFIG="+line.ConfigFile)
	u.write("cyclops.toml", "name = \"cuts\"\n[outputs]\nfetch = [\"out/**\"]\n", 0o644)
	must := func(what string, o outcome) string {
		t.Helper()
		if o.code != 0 {
			t.Fatalf("%s: %v", what, o)
		}
		return o.stdout
	}
	must("warm", u.cyclops("", "run", "--", "true"))
	u.noisy(size)
	began, before, cuts := time.Now(), line.Bytes(), cutEvery(line, size, n)
	id := strings.TrimSpace(must("submit", u.cyclops("", "submit", "--", "sh", "-c", "cp -r in out; cd in; find . -type f | sed s:./:: | xargs sha256sum")))
	t.Logf("upload: %d MB, %d cuts, %d MB through the line, %v", size>>20, cuts.Load(), (line.Bytes()-before)>>20, time.Since(began).Round(time.Millisecond))
	if cuts.Load() != int64(n) {
		t.Errorf("%d cuts, want %d", cuts.Load(), n)
	}
	must("wait", u.cyclops("", "wait", id))
	want, there := u.sums("in"), map[string]string{}
	for row := range strings.Lines(must("logs", u.cyclops("", "logs", id))) {
		digest, name, _ := strings.Cut(strings.TrimSpace(row), "  ")
		there[name] = digest
	}
	same(t, "on the host", want, there)
	began, before, cuts = time.Now(), line.Bytes(), cutEvery(line, size, n)
	must("fetch", u.cyclops("", "fetch", id))
	t.Logf("fetch: %d MB, %d cuts, %d MB through the line, %v", size>>20, cuts.Load(), (line.Bytes()-before)>>20, time.Since(began).Round(time.Millisecond))
	if cuts.Load() != int64(n) {
		t.Errorf("%d cuts, want %d", cuts.Load(), n)
	}
	same(t, "fetched", want, u.sums("out"))
}

func same(t *testing.T, what string, want, got map[string]string) {
	t.Helper()
	for name, digest := range want {
		if got[name] != digest {
			t.Errorf("%s: %s has %q, want %q", what, name, got[name], digest)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d files, want %d", what, len(got), len(want))
	}
}
