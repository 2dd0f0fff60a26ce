//go:build unix

package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/sys/unix"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/remote/carry"
	"github.com/cyclops-fpga/cyclops/remote/place"
)

const jobID = "abcdefgh23456722"

// bed is a job directory as on a host, and a tree as on a client.
type bed struct {
	testing.TB
	job  string
	root string
	dirs place.Dirs
	m    *manifest.Manifest
}

func newBed(t testing.TB) *bed {
	return &bed{TB: t, job: t.TempDir(), root: t.TempDir(), dirs: place.Dirs{State: t.TempDir()},
		m: &manifest.Manifest{Job: jobID, State: manifest.Succeeded}}
}

// artifact adds one to the job.
func (b *bed) artifact(name, content string) *manifest.Artifact {
	b.Helper()
	where := path.Join("artifacts", fmt.Sprintf("%06d", len(b.m.Artifacts)))
	full := filepath.Join(b.job, where)
	if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(content), 0o644)); err != nil {
		b.Fatal(err)
	}
	b.m.Artifacts = append(b.m.Artifacts, manifest.Artifact{Name: name, Path: where, Kind: manifest.KindOutput, Size: int64(len(content)),
		Digest: manifest.SumOf([]byte(content)).Digest(), Mode: 0o644, Fresh: true, Fetch: true})
	return &b.m.Artifacts[len(b.m.Artifacts)-1]
}

func (b *bed) link(name, target string) {
	b.m.Artifacts = append(b.m.Artifacts, manifest.Artifact{Name: name, Kind: manifest.KindSymlink, Target: target, Fresh: true, Fetch: true})
}

func (b *bed) write(name, content string) {
	b.Helper()
	full := filepath.Join(b.root, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(content), 0o644)); err != nil {
		b.Fatal(err)
	}
}

// want checks what lies at a name.
func (b *bed) want(name, content string) {
	b.Helper()
	got, err := os.ReadFile(filepath.Join(b.root, name))
	if err != nil || string(got) != content {
		b.Errorf("%s holds %.40q (%v), want %.40q", name, got, err, content)
	}
}

func (b *bed) request() Request { return Request{Manifest: b.m, Root: b.root, Dirs: b.dirs} }

func (b *bed) fetch(r Request) *Report {
	b.Helper()
	report, err := Fetch(b.Context(), r, Local(b.job))
	if err != nil {
		b.Fatal(err)
	}
	for _, d := range b.leftovers() {
		b.Errorf("%s was left", d)
	}
	return report
}

func (b *bed) leftovers() (list []string) {
	err := filepath.WalkDir(b.root, func(p string, d fs.DirEntry, err error) error {
		if strings.HasPrefix(d.Name(), ".cyclops-") {
			list = append(list, p)
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return list
}

func TestConflictRules(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.artifact("absent", "new")
	b.artifact("d/pinned", "new")
	b.artifact("placed", "new")
	b.artifact("edited", "new")
	b.artifact("same", "new")
	b.write("d/pinned", "input")
	b.write("placed", "old output")
	b.write("edited", "the user's")
	b.write("same", "new")
	r := b.request()
	r.Pinned = func(name string, sum manifest.Sum, target string) bool {
		return name == "d/pinned" && sum == manifest.SumOf([]byte("input")) && target == ""
	}
	before := newBed(t)
	before.root, before.dirs = b.root, b.dirs
	before.artifact("placed", "old output")
	if report := before.fetch(before.request()); report.Same != 1 {
		t.Fatalf("%+v", report)
	}
	// That it was there already does not make it ours.
	if report := b.fetch(r); report.Files != 4 || report.Same != 1 || len(report.Conflicts) != 2 || report.Err() != nil {
		t.Fatalf("%+v", report)
	}
	beside := ".cyclops-" + jobID[:8]
	for name, content := range map[string]string{
		"absent": "new", "d/pinned": "new", "placed": "old output", "placed" + beside: "new", "edited": "the user's", "edited" + beside: "new", "same": "new",
	} {
		b.want(name, content)
	}
	if report := b.fetch(r); report.Files != 0 || report.Same != 5 || len(report.Conflicts) != 2 {
		t.Fatalf("again: %+v", report)
	}
	next := newBed(t)
	next.root, next.dirs = b.root, b.dirs
	next.artifact("absent", "newer")
	if report := next.fetch(next.request()); report.Files != 1 || len(report.Conflicts) != 0 {
		t.Fatalf("over what Cyclops put there: %+v", report)
	}
	b.want("absent", "newer")
}

func TestConflictsOfEveryType(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	for _, name := range []string{"fifo", "dir", "link", "file/below", "linked/below", "good"} {
		b.artifact(name, "new")
	}
	outside := t.TempDir()
	err := errors.Join(
		unix.Mkfifo(filepath.Join(b.root, "fifo"), 0o644), os.Mkdir(filepath.Join(b.root, "dir"), 0o755),
		os.Symlink("/etc/hostname", filepath.Join(b.root, "link")), os.Symlink(outside, filepath.Join(b.root, "linked")),
	)
	if err != nil {
		t.Fatal(err)
	}
	b.write("file", "x")
	report := b.fetch(b.request())
	if len(report.Conflicts) != 3 || len(report.Failed) != 2 || report.Files != 4 || len(report.Refused) != 0 {
		t.Fatalf("%+v", report)
	}
	b.want("good", "new")
	for _, name := range []string{"fifo", "dir", "link"} {
		b.want(name+".cyclops-"+jobID[:8], "new")
	}
	if left, _ := os.ReadDir(outside); len(left) != 0 {
		t.Error("something was written through a symlink")
	}
}

func TestChangedAtTheLastMoment(t *testing.T) {
	t.Parallel()
	for _, there := range []bool{false, true} {
		b := newBed(t)
		b.artifact("f", "new")
		r := b.request()
		r.Pinned = func(_ string, sum manifest.Sum, _ string) bool { return sum == manifest.SumOf([]byte("input")) }
		if there {
			b.write("f", "input")
		}
		p, err := New(r)
		if err != nil {
			t.Fatal(err)
		}
		p.beforeRename = func(name string) {
			if name == "f" {
				b.write("f", "saved by the user just now")
			}
		}
		if err := p.Rest(t.Context(), Local(b.job)); err != nil {
			t.Fatal(err)
		}
		report, err := p.Close()
		if err != nil || len(report.Conflicts) != 1 || len(report.Failed) != 0 {
			t.Errorf("there before: %t: %+v, %v", there, report, err)
		}
		b.want("f", "saved by the user just now")
		b.want("f.cyclops-"+jobID[:8], "new")
	}
}

// hostile are names that no manifest may make a client write to.
var hostile = []string{
	"", ".", "..", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", "./a", "a/./b", ".git", ".git/config", "sub/.git/hooks/post-checkout", ".GIT/x", ".Git",
	".git./x", ".git /x", ".git...", "git~1", "GIT~1/config", "sub/git~1", ".g\u200cit", ".gi\ufefft/config", "\u202e.git", ".git::$INDEX_ALLOCATION/x",
	".git:stream", "cyclops.toml", "CYCLOPS.TOML", "cyclops.toml.", "cyclop~1.tom", ".envrc", ".ENVRC ", "sub/.envrc", ".vscode/tasks.json", ".VSCode", ".v\u017fcode",
	"vscode~1/tasks.json", "a\nb", "a\x1b[31m", "a\x00b", ".cyclops-0123456789abcdef", strings.Repeat("a", 256), strings.Repeat("a/", 300) + "b",
	strings.Repeat("a/", 2100) + "b", ".gi\u00adt/x", ".git\ufe0f", "\u2060.git",
}

func TestHostileManifest(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	for _, name := range hostile {
		b.artifact(name, "evil")
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	rel, err := filepath.Rel(b.job, secret)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range []string{secret, rel, "../../workspaces/../../x", "../x", "", "a/../../b", "../../workspaces/", "../../workspaces/x"} {
		for _, volatile := range []bool{false, true} {
			a := b.artifact(fmt.Sprint("path", i, volatile), "secret")
			a.Path, a.Volatile = p, volatile
		}
	}
	for i, bad := range []func(*manifest.Artifact){
		func(a *manifest.Artifact) { a.Size = -1 }, func(a *manifest.Artifact) { a.Size = 1 << 62 },
		func(a *manifest.Artifact) { a.Digest = "" }, func(a *manifest.Artifact) { a.Digest = "sha256:../../x" },
	} {
		bad(b.artifact(fmt.Sprint("field", i), "x"))
	}
	b.artifact("twice", "1")
	b.artifact("twice", "2")
	targets := []string{"/etc/passwd", "../x", "d/../../x", "s/../x", "", "a\x00b", "../link2/../../../x", ".git/config", "cyclops.toml", "sub/.envrc"}
	for i, target := range targets {
		b.link(fmt.Sprint("link", i), target)
	}
	report := b.fetch(b.request())
	if want := len(b.m.Artifacts) - 1; len(report.Refused) != want || report.Files != 1 {
		refused := map[string]bool{}
		for _, r := range report.Refused {
			refused[r.Path] = true
		}
		for _, a := range b.m.Artifacts {
			if !refused[a.Name] && a.Name != "twice" {
				t.Errorf("%q (path %q, target %q) was not refused", a.Name, a.Path, a.Target)
			}
		}
		t.Fatalf("%d refused, want %d; %d placed, failed %v", len(report.Refused), want, report.Files, report.Failed)
	}
	if list, _ := os.ReadDir(b.root); len(list) != 1 {
		t.Errorf("%v lie in the root", list)
	}
	for _, m := range []*manifest.Manifest{{Job: "../../x"}, {Job: jobID, Artifacts: make([]manifest.Artifact, maxArtifacts+1)}} {
		if _, err := Fetch(t.Context(), Request{Manifest: m, Root: b.root, Dirs: b.dirs}, Local(b.job)); err == nil {
			t.Errorf("took a manifest of job %q with %d artifacts", m.Job, len(m.Artifacts))
		}
	}
}

func TestHarmlessNamesPass(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", ".gitignore", "git", "x.git", ".github/w.yml", "cyclops.toml.bak", "naïve/日本", "a b", "git~", "build/.cyclopsignore", "a:b"} {
		if err := checkName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for target, name := range map[string]string{"x": "l", "../x": "d/l", "./x": "l", "../../a/b": "d/e/l"} {
		if err := checkTarget(name, target); err != nil {
			t.Errorf("%s → %s: %v", name, target, err)
		}
	}
}

func TestSymlinksComeLast(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.link("latest", "run1")
	b.artifact("latest/out", "through it")
	b.artifact("run1/out", "real")
	report := b.fetch(b.request())
	if len(report.Conflicts) != 1 || report.Files != 3 {
		t.Fatalf("%+v", report)
	}
	b.want("latest/out", "through it")
	b.want("run1/out", "real")
	if target, err := os.Readlink(filepath.Join(b.root, "latest.cyclops-"+jobID[:8])); err != nil || target != "run1" {
		t.Errorf("link to %q, %v", target, err)
	}
}

func TestSelection(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.artifact("build/top.bin", "bits")
	b.artifact("build/deep/x.rpt", "report").Fetch = false
	b.artifact("stale.bin", "last week's").Fresh = false
	own := b.artifact("log", "log")
	if err := os.Rename(filepath.Join(b.job, own.Path), filepath.Join(b.job, "log")); err != nil {
		t.Fatal(err)
	}
	own.Kind, own.Path = manifest.KindLog, "log"
	b.m.State = manifest.Failed
	report := b.fetch(b.request())
	if report.Files != 1 || len(report.Left) != 1 || fmt.Sprint(report.Stale) != "[stale.bin]" {
		t.Fatalf("%+v", report)
	}
	for pattern, want := range map[string]int{"build/**/*.rpt": 1, "build": 2, "*.bin": 0, "log": 1, "./build/": 2, "stale.bin": 0, "none": 0} {
		r := b.request()
		r.Root, r.Patterns = t.TempDir(), []string{pattern}
		if report := b.fetch(r); report.Files != want {
			t.Errorf("%s: %+v", pattern, report)
		}
	}
	r := b.request()
	r.Root, r.All = t.TempDir(), true
	if report := b.fetch(r); report.Files != 2 {
		t.Errorf("all: %+v", report)
	}
	r.Patterns = []string{"["}
	if _, err := New(r); api.KindOf(err) != api.Usage {
		t.Errorf("broken pattern: %v", err)
	}
}

func TestOneBadArtifactDropsNoOther(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.artifact("short", "whole").Size = 50
	b.artifact("forged", "forged").Digest = manifest.SumOf([]byte("real")).Digest()
	b.artifact("gone", "x").Path = "artifacts/none"
	b.artifact("big", strings.Repeat("x", smallFile+1)).Digest = manifest.SumOf([]byte("real")).Digest()
	b.artifact("good", "good")
	b.artifact("empty", "")
	report := b.fetch(b.request())
	if len(report.Failed) != 4 || report.Files != 2 || api.KindOf(report.Err()) != api.Undelivered {
		t.Fatalf("%+v", report)
	}
	b.want("good", "good")
	b.want("empty", "")
	if _, err := os.Lstat(filepath.Join(b.root, "forged")); err == nil {
		t.Error("bytes that are not the manifest's were put in place")
	}
}

func TestModesAndTimes(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	host := time.Now().Add(time.Hour).Truncate(time.Second) // the host's clock is an hour ahead
	a := b.artifact("tool", "#!/bin/sh\n")
	a.Mode, a.Modified = 0o4755, host.Add(-time.Minute)
	b.artifact("future", "x").Modified = host.Add(time.Hour)
	r := b.request()
	r.ClockOffset = time.Hour
	b.fetch(r)
	info, err := os.Stat(filepath.Join(b.root, "tool"))
	if err != nil || info.Mode()&^0o77 != 0o700 || !info.ModTime().Equal(host.Add(-time.Hour-time.Minute)) {
		t.Errorf("tool: %v %v, %v", info.Mode(), info.ModTime(), err)
	}
	if info, err := os.Stat(filepath.Join(b.root, "future")); err != nil || info.ModTime().After(time.Now()) {
		t.Errorf("future: %v, %v", info.ModTime(), err)
	}
}

func TestPut(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.artifact("pushed", "pushed")
	b.artifact("broken", "right")
	b.artifact("pulled", "pulled")
	p, err := New(b.request())
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"pushed": "pushed", "broken": "wrong", "unknown": "xyz"} {
		r := strings.NewReader(content + strings.Repeat("z", 0))
		if err := p.Put(t.Context(), name, r); err != nil || r.Len() != 0 {
			t.Errorf("%s: %v, %d bytes unread", name, err, r.Len())
		}
	}
	if err := p.Put(t.Context(), "pulled", io.MultiReader(strings.NewReader("pul"), errReader{})); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut off: %v", err)
	}
	if _, err := os.Lstat(filepath.Join(b.root, "pulled")); err == nil || len(b.leftovers()) > 0 {
		t.Errorf("half of what was pushed is left: %v", b.leftovers())
	}
	if err := p.Rest(t.Context(), Local(b.job)); err != nil {
		t.Fatal(err)
	}
	report, err := p.Close()
	if err != nil || report.Files != 3 || len(report.Failed) != 0 {
		t.Fatalf("%+v, %v", report, err)
	}
	b.want("pushed", "pushed")
	b.want("broken", "right")
	b.want("pulled", "pulled")
	if got := p.Progress(); got.Files != 3 || got.TotalFiles != 3 || got.Bytes != got.TotalBytes {
		t.Errorf("%+v", got)
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// cut is a source whose line breaks after so many reads.
type cut struct {
	Source
	left  *atomic.Int64
	reads *atomic.Int64
}

func (c cut) Open(ctx context.Context, p string) (File, error) {
	f, err := c.Source.Open(ctx, p)
	return cutFile{f, c}, err
}

type cutFile struct {
	File
	c cut
}

func (f cutFile) ReadAt(p []byte, off int64) (int, error) {
	if f.c.left.Add(-1) < 0 {
		return 0, io.ErrUnexpectedEOF
	}
	f.c.reads.Add(1)
	return f.File.ReadAt(p, off)
}

func TestResume(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	content := make([]byte, 5*chunkSize+100)
	for i := range content {
		content[i] = byte(i >> 9)
	}
	b.artifact("d/big", string(content))
	c := cut{Local(b.job), new(atomic.Int64), new(atomic.Int64)}
	c.left.Store(3)
	report, err := Fetch(t.Context(), b.request(), c)
	if err != nil || len(report.Failed) != 1 || len(b.leftovers()) != 2 {
		t.Fatalf("%+v, %v, left %v", report, err, b.leftovers())
	}
	first := c.reads.Load()
	c.left.Store(100)
	report, err = Fetch(t.Context(), b.request(), c)
	if err != nil || report.Files != 1 || len(b.leftovers()) != 0 {
		t.Fatalf("%+v, %v, left %v", report, err, b.leftovers())
	}
	if n := c.reads.Load(); n != 6 || first != 3 {
		t.Errorf("%d chunks were read the first time, %d in all; want 3 and 6", first, n)
	}
	b.want("d/big", string(content))
}

func TestResumeWithDamage(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	a := b.artifact("big", strings.Repeat("x", 3*chunkSize))
	temp := filepath.Join(b.root, (&Placer{}).tempName(*a))
	if err := errors.Join(os.WriteFile(temp, bytes.Repeat([]byte("y"), chunkSize+5), 0o600), os.WriteFile(temp+".map", []byte{1, 1}, 0o600)); err != nil {
		t.Fatal(err)
	}
	report, err := Fetch(t.Context(), b.request(), Local(b.job))
	if err != nil || len(report.Failed) != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	if report := b.fetch(b.request()); report.Files != 1 {
		t.Fatalf("%+v", report)
	}
}

// pipes opens SFTP servers of this process.
type pipes struct{ testing.TB }

func (p pipes) Bulk(context.Context) (io.ReadWriteCloser, error) {
	near, far := net.Pipe()
	server, err := sftp.NewServer(far, sftp.ReadOnly())
	if err != nil {
		return nil, err
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve() }()
	p.Cleanup(func() { near.Close(); far.Close(); <-done })
	return near, nil
}

// channels lead to SFTP servers on pipes.
func channels(t testing.TB, n int) *carry.Channels {
	c := carry.New(pipes{t}, n, nil)
	t.Cleanup(c.Close)
	return c
}

func TestSFTP(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	for i := range 200 {
		b.artifact(fmt.Sprintf("d%d/f%d", i%7, i), fmt.Sprint("content ", i))
	}
	b.artifact("big", strings.Repeat("0123456789abcdef", 1<<19))
	report, err := Fetch(t.Context(), b.request(), NewSFTP(b.job, channels(t, 3)))
	if err != nil || report.Files != 201 || report.Err() != nil {
		t.Fatalf("%+v, %v", report, err)
	}
	b.want("d3/f10", "content 10")
	var out bytes.Buffer
	if err := Copy(t.Context(), NewSFTP(b.job, channels(t, 1)), b.m.Artifacts[200], &out); err != nil || out.Len() != 8<<20 {
		t.Errorf("copied %d bytes, %v", out.Len(), err)
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.artifact("a", "x")
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := Fetch(ctx, b.request(), Local(b.job)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestRecordIsBounded(t *testing.T) {
	t.Parallel()
	dirs, root := place.Dirs{State: t.TempDir()}, t.TempDir()
	for range 2 {
		r, err := openRecord(dirs, root)
		if err != nil {
			t.Fatal(err)
		}
		for i := range spare + 10 {
			if err := r.add("a", fmt.Sprint(i), time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
		if !r.has("a", fmt.Sprint(spare+9)) || r.has("a", "1") {
			t.Error("only the last two contents count")
		}
		if err := r.close(); err != nil {
			t.Fatal(err)
		}
	}
	r, err := openRecord(dirs, root)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	if info, err := r.file.Stat(); err != nil || info.Size() > 100 {
		t.Errorf("%d bytes, %v", info.Size(), err)
	}
}

// Two fetches of the same job at once must not put in place what the other has half written.
func TestTwoIdenticalFetchesAtOnce(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	for i := range 20 {
		b.artifact(fmt.Sprintf("d/%d", i), strings.Repeat(fmt.Sprint(i), 100_000))
	}
	one, err := New(b.request())
	if err != nil {
		t.Fatal(err)
	}
	// The other one comes in between a write and its rename.
	one.beforeRename = func(string) {
		one.beforeRename = nil
		other, err := New(b.request())
		if err != nil {
			t.Error(err)
			return
		}
		half, err := create(other.root, path.Join("d", other.ownTemp(other.wanted[0])), other.wanted[0])
		if err == nil {
			_, err = half.WriteString("half")
		}
		if _, cerr := other.Close(); err != nil || cerr != nil {
			t.Error(err, cerr)
		}
		half.Close()
	}
	for i := range one.wanted {
		if err := one.small(t.Context(), Local(b.job), one.wanted[i]); err != nil {
			t.Error(err)
		}
	}
	if _, err := one.Close(); err != nil {
		t.Error(err)
	}
	for i := range 20 {
		b.want(fmt.Sprintf("d/%d", i), strings.Repeat(fmt.Sprint(i), 100_000))
	}
}
