//go:build linux

package daemon_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/check"
	"github.com/cyclops-fpga/cyclops/executor/layout"
	"github.com/cyclops-fpga/cyclops/executor/store"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// kept is a data directory with ended jobs, at rest, that tests damage copies of.
type kept struct {
	data layout.Data
	jobs []string
}

// keepJobs runs jobs with inputs, logs and outputs, and ends the daemon.
func keepJobs(t *testing.T) *kept {
	t.Helper()
	h := &host{TB: t, data: layout.Data(t.TempDir())}
	h.start()
	k := &kept{data: h.data}
	for i := range 3 {
		j := job(fmt.Sprintf("echo out %d; cat in >&2; echo %d > built.rpt; ln -sf built.rpt latest; exit %d", i, i, i), fmt.Sprint("w", i))
		c := h.inline(j, newTree(t, map[string]string{"in": strings.Repeat(fmt.Sprint("input ", i, "\n"), 20)}), nil, everything)
		if err := c.drain(); err != nil {
			t.Fatal(err)
		}
		k.jobs = append(k.jobs, j.ID)
	}
	h.halt()
	return k
}

// copy returns a copy of it.
func (k *kept) copy(t *testing.T) layout.Data {
	t.Helper()
	to := filepath.Join(t.TempDir(), "data")
	if out, err := exec.Command("cp", "-a", string(k.data), to).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	return layout.Data(to)
}

// checkIt runs `check` as a person does.
func checkIt(t *testing.T, d layout.Data, flags ...string) (*api.CheckReport, int) {
	t.Helper()
	argv := append(self(t), append([]string{"check", "--json", "--data", string(d)}, flags...)...)
	cmd := exec.Command(argv[0], argv[1:]...)
	var said strings.Builder
	cmd.Stderr = &said
	out, _ := cmd.Output()
	r := new(api.CheckReport)
	if err := json.Unmarshal(out, r); err != nil {
		t.Fatalf("check said %q, %s", out, said.String())
	}
	return r, cmd.ProcessState.ExitCode()
}

func TestCheckFindsNothingWrongWithWhatIsSound(t *testing.T) {
	t.Parallel()
	k := keepJobs(t)
	r, code := checkIt(t, k.data)
	if code != 0 || len(r.Findings) > 0 || r.Jobs != 3 || r.Packs != 3 || !r.Full || r.Bytes == 0 {
		t.Errorf("exit code %d, %+v", code, r)
	}
}

// spoiled are the files that a byte is changed in, and what check calls them.
func (k *kept) spoiled(t *testing.T, d layout.Data) map[string]string {
	t.Helper()
	id := k.jobs[1]
	packs, err := filepath.Glob(filepath.Join(d.Packs(), "*.pack"))
	if err != nil || len(packs) == 0 {
		t.Fatal("no pack", err)
	}
	return map[string]string{
		packs[0]: "pack", d.Manifest(id): "manifest", d.Log(id): "log", d.LogIndex(id): "log", d.JobSpec(id): "document",
		d.StoreID(): "document", filepath.Join(d.Artifacts(id), "built.rpt"): "artifact",
	}
}

// TestEachChangedByteIsFound changes bytes one at a time, and cuts at every length: all of small
// files, some of others.
func TestEachChangedByteIsFound(t *testing.T) {
	t.Parallel()
	k := keepJobs(t)
	d := k.copy(t)
	s, err := store.OpenBeside(t.Context(), d.Database())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for path, kind := range k.spoiled(t, d) {
		sound, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range some(len(sound)) {
			spoil(t, path, sound, func(b []byte) []byte { b[at] ^= byte(1 + rand.IntN(255)); return b })
			findOne(t, d, s, fmt.Sprintf("byte %d of %s", at, path), kind)
		}
		for _, n := range some(len(sound)) {
			spoil(t, path, sound, func(b []byte) []byte { return b[:n] })
			findOne(t, d, s, fmt.Sprintf("%s cut to %d bytes", path, n), kind)
		}
		spoil(t, path, sound, func(b []byte) []byte { return b })
	}
}

// spoilLink has a symlink lead elsewhere, or nowhere if that is empty.
func spoilLink(t *testing.T, path, target string) {
	t.Helper()
	err := os.Remove(path)
	if err == nil && target != "" {
		err = os.Symlink(target, path)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A symlink among the outputs could lead anywhere, or be gone, and a check found nothing.
func TestEachChangedByteOfASymlinkIsFound(t *testing.T) {
	t.Parallel()
	k := keepJobs(t)
	s, err := store.OpenBeside(t.Context(), k.data.Database())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	path, sound := filepath.Join(k.data.Artifacts(k.jobs[1]), "latest"), "built.rpt"
	for at := range len(sound) {
		changed := []byte(sound)
		changed[at] ^= 1
		spoilLink(t, path, string(changed))
		findOne(t, k.data, s, fmt.Sprintf("byte %d of a symlink", at), "artifact")
	}
	spoilLink(t, path, "")
	findOne(t, k.data, s, "a symlink that is gone", "artifact")
	if err := os.WriteFile(path, []byte(sound), 0o600); err != nil {
		t.Fatal(err)
	}
	findOne(t, k.data, s, "a file in the place of a symlink", "artifact")
	spoilLink(t, path, "elsewhere")
	k.mend(t, k.data)
}

// some returns all numbers below size, or 150 of them unless a long run is asked for.
func some(size int) []int {
	if os.Getenv("CYCLOPS_LONG") == "" && size > 150 {
		return rand.Perm(size)[:150]
	}
	return rand.Perm(size)
}

func spoil(t *testing.T, path string, sound []byte, change func([]byte) []byte) {
	t.Helper()
	if err := os.WriteFile(path, change(append([]byte(nil), sound...)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestADamagedHostIsMended(t *testing.T) {
	t.Parallel()
	k := keepJobs(t)
	for name := range k.spoiled(t, k.data) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			d := k.copy(t)
			path := strings.Replace(name, string(k.data), string(d), 1)
			sound, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			spoil(t, path, sound, func(b []byte) []byte { b[len(b)/2] ^= 4; return b })
			k.mend(t, d)
		})
	}
}

// mend repairs a directory and sees that it is sound, and that jobs run there.
func (k *kept) mend(t *testing.T, d layout.Data) {
	t.Helper()
	if r, code := checkIt(t, d, "--repair"); code != 0 || len(r.Findings) == 0 {
		t.Errorf("repair: exit code %d, %+v", code, r)
	}
	if r, code := checkIt(t, d); code != 0 || len(r.Findings) > 0 {
		t.Errorf("afterwards: exit code %d, %+v", code, r)
	}
	h := &host{TB: t, data: d}
	t.Cleanup(func() { stop(t, d) })
	for i, id := range k.jobs {
		c := h.follow(api.Follow{Job: id})
		if err := c.drain(); err != nil || c.result == nil || *c.result.ExitCode != i {
			t.Errorf("job %d: %v, %+v", i, err, c.result)
		}
		again := manifest.NewID()
		var info api.JobInfo
		err := h.call("POST", "/v1/jobs/"+id+"/retry", api.RetryRequest{ID: again}, &info)
		if err != nil && err.Kind != api.NotFound {
			t.Errorf("retry: %+v", err)
		}
		if err == nil {
			h.follow(api.Follow{Job: again}).drain()
		}
	}
	j := job("cat in", "w0")
	c := h.inline(j, newTree(t, map[string]string{"in": "new"}), nil, everything)
	if err := c.drain(); err != nil || c.text(0) != "new" {
		t.Errorf("a new job: %v, %q", err, c.text(0))
	}
}

// A byte that changes in the database is found, or changes nothing that it holds.
func TestEachChangedByteOfTheDatabaseIsFound(t *testing.T) {
	t.Parallel()
	k := keepJobs(t)
	d := k.copy(t)
	sound, err := os.ReadFile(d.Database())
	if err != nil {
		t.Fatal(err)
	}
	want := dump(t, d)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for _, at := range sample(r, len(sound), 1000) {
		spoil(t, d.Database(), sound, func(b []byte) []byte { b[at] ^= byte(1 + r.IntN(255)); return b })
		removeJournal(d)
		if !databaseDamaged(t, d) && dump(t, d) != want {
			t.Fatalf("byte %d of %d changes what the database holds, and is not found (seed %d)", at, len(sound), seed)
		}
	}
}

// sample returns n of the numbers below size, and the first hundred, which are the header.
func sample(r *rand.Rand, size, n int) []int {
	var all []int
	for at := range min(100, size) {
		all = append(all, at)
	}
	for range n {
		all = append(all, r.IntN(size))
	}
	return all
}

func TestADamagedDatabaseNeedsNoHand(t *testing.T) {
	t.Parallel()
	k := keepJobs(t)
	for name, change := range map[string]func([]byte) []byte{
		"no database at all": func([]byte) []byte { return []byte("this is no database") },
		"cut in the middle":  func(b []byte) []byte { return b[:len(b)/2] },
		"empty":              func([]byte) []byte { return nil },
		"a page of noise": func(b []byte) []byte {
			for i := range 4096 {
				b[8192+i] = byte(i * 7)
			}
			return b
		},
		"another version": func(b []byte) []byte { b[63] = 99; return b },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := k.copy(t)
			sound, err := os.ReadFile(d.Database())
			if err != nil {
				t.Fatal(err)
			}
			spoil(t, d.Database(), sound, change)
			removeJournal(d)
			h := &host{TB: t, data: d}
			h.ensure()
			stop(t, d)
			if r, _ := checkIt(t, d, "--repair"); r == nil {
				t.Error("no report")
			}
			t.Cleanup(func() { stop(t, d) })
			for i, id := range k.jobs {
				c := h.follow(api.Follow{Job: id})
				if err := c.drain(); err != nil || c.result == nil || *c.result.ExitCode != i {
					t.Errorf("job %d: %v, %+v", i, err, c.result)
				}
			}
			if c := h.run(job("echo on", "w0")); c.text(0) != "on\n" {
				t.Errorf("a new job: %q", c.text(0))
			}
		})
	}
}

// What a pack lost is asked for again by the next run.
func TestADamagedPackIsAskedForAgain(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	s := newTree(t, map[string]string{"in": strings.Repeat("what was sent\n", 100)})
	h.inline(job("cat in", "w"), s, nil, everything).drain()
	packs, _ := filepath.Glob(filepath.Join(h.data.Packs(), "*.pack"))
	sound, err := os.ReadFile(packs[0])
	if err != nil {
		t.Fatal(err)
	}
	spoil(t, packs[0], sound, func(b []byte) []byte { b[40] ^= 1; return b })
	j := job("cat in", "v")
	j.Input.Snapshot = s.root.Digest()
	c := h.run(j)
	if c.result.State != manifest.Failed || !strings.Contains(c.result.Reason, "damaged") || !strings.Contains(c.result.Reason, "sent again") {
		t.Errorf("got %s: %s", c.result.State, c.result.Reason)
	}
	again := job("cat in", "v")
	if c := h.inline(again, s, nil, everything); c.drain() != nil || c.result.State != manifest.Succeeded || !strings.HasPrefix(c.text(0), "what was sent") {
		t.Errorf("again: %+v", c.result)
	}
}

// A pack that is cut or gone is missed when it is next needed, before any job fails of it.
func TestAPackThatIsGoneIsMissed(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(string) error{
		"gone": os.Remove,
		"cut":  func(path string) error { return os.Truncate(path, 10) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, "")
			s := newTree(t, map[string]string{"in": "what was sent"})
			h.inline(job("cat in", "w"), s, nil, everything).drain()
			packs, _ := filepath.Glob(filepath.Join(h.data.Packs(), "*.pack"))
			if err := spoil(packs[0]); err != nil {
				t.Fatal(err)
			}
			j := job("cat in", "v")
			j.Input.Snapshot = s.root.Digest()
			c := h.stream()
			c.send(api.FrameSubmit, api.Submit{Job: encode(t, j), Follow: everything})
			if f := c.read(); f.Type != api.FrameMissing {
				t.Fatalf("answered with frame %d %s", f.Type, f.Payload)
			}
			c.sendPack(s.pack(t, nil))
			c.send(api.FrameSubmit, api.Submit{Job: encode(t, j), Follow: everything})
			if err := c.drain(); err != nil || c.result.State != manifest.Succeeded {
				t.Errorf("got %v, %+v", err, c.result)
			}
		})
	}
}

func removeJournal(d layout.Data) {
	for _, suffix := range []string{"-wal", "-shm"} {
		os.Remove(d.Database() + suffix)
	}
}

func stop(t *testing.T, d layout.Data) {
	t.Helper()
	argv := append(self(t), "stop", "--data", string(d))
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		t.Errorf("%s: %v", out, err)
	}
}

// databaseDamaged asks as check does.
func databaseDamaged(t *testing.T, d layout.Data) bool {
	t.Helper()
	s, err := store.OpenBeside(context.Background(), d.Database())
	if err != nil {
		return true
	}
	defer s.Close()
	damaged := false
	if err := s.Check(context.Background(), true, func(store.Damage) { damaged = true }); err != nil {
		return true
	}
	return damaged
}

// findOne looks at everything and expects damage of one kind.
func findOne(t *testing.T, d layout.Data, s *store.Store, what, kind string) {
	t.Helper()
	r, err := check.Run(context.Background(), check.Options{Data: d, Store: s, Full: true})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if len(r.Findings) == 0 {
		t.Fatalf("%s is not found", what)
	}
	for _, f := range r.Findings {
		if f.Kind != kind || f.Name == "" || f.Wrong == "" || f.Help == "" {
			t.Fatalf("%s is called %+v", what, f)
		}
	}
}

// dump writes down all that a database holds.
func dump(t *testing.T, d layout.Data) string {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+d.Database())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var all strings.Builder
	for _, table := range []string{"jobs", "specs", "tombstones", "packs", "snapshots", "snapshot_packs", "holds", "settings"} {
		rows, err := db.Query("SELECT * FROM " + table + " ORDER BY 1, 2")
		if err != nil {
			return err.Error()
		}
		dumpRows(&all, rows)
	}
	return all.String()
}

func dumpRows(all *strings.Builder, rows *sql.Rows) {
	defer rows.Close()
	columns, _ := rows.Columns()
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		fmt.Fprintln(all, columns, rows.Scan(values...))
		for _, v := range values {
			fmt.Fprintf(all, "%v ", *v.(*any))
		}
	}
	fmt.Fprintln(all, rows.Err())
}
