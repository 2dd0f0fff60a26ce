//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cyclops-fpga/cyclops/remote/sshtest"
)

// versions are two builds of the executor, made once.
var versions = sync.OnceValues(func() ([2]string, error) {
	var files [2]string
	for i, version := range []string{"v0.0.1", "v0.0.2"} {
		files[i] = filepath.Join(binaries, "cyclopsd-"+version)
		args := append([]string{"build", "-o", files[i], "-ldflags", "-X github.com/cyclops-fpga/cyclops/executor/api.Build=" + version}, raceFlag...)
		if out, err := exec.Command("go", append(args, "../../executor/cyclopsd")...).CombinedOutput(); err != nil {
			return files, fmt.Errorf("%w: %s", err, out)
		}
	}
	return files, nil
})

// upgrader is a user whose host gets another executor again and again.
type upgrader struct {
	*client
	builds [2]string
	bin    string
	swaps  int
}

func newUpgrader(t *testing.T) *upgrader {
	t.Helper()
	builds, err := versions()
	if err != nil {
		t.Fatal(err)
	}
	u := &upgrader{client: newUser(t, sshtest.Start(t, sshtest.Options{Name: "lab", MaxSessions: 100, Extra: []string{"MaxStartups 100"}})), builds: builds}
	u.bin = filepath.Join(u.home, "d", "bin")
	if err := os.WriteFile(filepath.Join(u.home, "d", "config.toml"), []byte("slots = 20\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return u
}

// swap makes the other build current: by install's own steps, or by install itself.
func (u *upgrader) swap() error {
	u.swaps++
	build := u.builds[u.swaps%2]
	if u.swaps%8 == 0 {
		out, err := u.command("install", "--binary", build, "lab").CombinedOutput()
		if err != nil {
			return fmt.Errorf("install: %w: %s", err, out)
		}
		return nil
	}
	cmd := exec.Command("sh", "-c", `cp "$1" .new && mv -f .new "$2" && ln -sf "$2" .next && ./current stop --data .. && mv -f .next current && { ./current stop --data .. || :; }`,
		"sh", build, filepath.Base(build))
	cmd.Dir, cmd.Env = u.bin, u.env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("swap: %w: %s", err, out)
	}
	return nil
}

// swapUntil goes on swapping until stop is closed.
func (u *upgrader) swapUntil(stop <-chan struct{}) error {
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := u.swap(); err != nil {
			return err
		}
		select {
		case <-stop:
			return nil
		case <-tick.C:
		}
	}
}

// Jobs are submitted and run while their host's executor is another one every moment: each is there,
// ran once, and left all of its log.
func TestUpgradeUnderRunningJobs(t *testing.T) {
	t.Parallel()
	u := newUpgrader(t)
	u.write("cyclops.toml", "name = \"up\"\n", 0o644)
	stop, swapped := make(chan struct{}), make(chan error, 1)
	go func() { swapped <- u.swapUntil(stop) }()
	const submitters, each = 3, 4
	var ids [submitters][]string
	var all sync.WaitGroup
	for i := range submitters {
		all.Go(func() {
			for range each {
				ran := filepath.Join(u.home, "ran-$CYCLOPS_JOB")
				got := u.cyclops("", "submit", "--isolated", "-c", "echo ran >>"+ran+"; i=0; while [ $i -lt 30 ]; do echo line $i; i=$((i+1)); sleep 0.05; done; exit 3")
				if got.code != 0 {
					t.Errorf("submit: %v", got)
					continue
				}
				ids[i] = append(ids[i], strings.TrimSpace(got.stdout))
			}
		})
	}
	all.Wait()
	for _, id := range slices.Concat(ids[:]...) {
		if got := u.cyclops("", "wait", id); got.code != 3 {
			t.Errorf("wait %s: %v", id, got)
		}
	}
	close(stop)
	if err := <-swapped; err != nil {
		t.Error(err)
	}
	t.Logf("%d swaps", u.swaps)
	u.checkOnce(slices.Concat(ids[:]...))
}

func (u *upgrader) checkOnce(ids []string) {
	u.t.Helper()
	var want strings.Builder
	for i := range 30 {
		fmt.Fprintf(&want, "line %d\n", i)
	}
	if listed := u.cyclops("", "ps", "--all", "-q"); len(jobID.FindAllString(listed.stdout, -1)) != len(ids) {
		u.t.Errorf("%d jobs were accepted, listed are %v", len(ids), listed)
	}
	for _, id := range ids {
		if ran, err := os.ReadFile(filepath.Join(u.home, "ran-"+id)); err != nil || string(ran) != "ran\n" {
			u.t.Errorf("job %s ran %d times: %v", id, strings.Count(string(ran), "ran"), err)
		}
		if got := u.cyclops("", "logs", id); got.stdout != want.String() {
			u.t.Errorf("the log of job %s is not whole: %v", id, got)
		}
	}
}

// A supervisor keeps its binary until its job has ended, and starts later steps by it.
func TestABinaryStaysWhileItsSupervisorLives(t *testing.T) {
	t.Parallel()
	u := newUpgrader(t)
	u.write("cyclops.toml", fmt.Sprintf(`name = "up"
[jobs.long]
steps = [
  { name = "first", run = "pwd; while [ ! -e %s/go ]; do sleep 0.05; done" },
  { name = "second", run = "pwd" },
]
`, u.home), 0o644)
	first, second := filepath.Join(u.bin, "cyclopsd-v0.0.1"), filepath.Join(u.bin, "cyclopsd-v0.0.2")
	install := func(build string, want string) {
		t.Helper()
		if got := u.cyclops("", "install", "--binary", build, "lab"); got.code != 0 || !strings.Contains(got.stdout, want) {
			t.Errorf("install says %v, want %q", got, want)
		}
	}
	install(u.builds[0], "lab runs executor v0.0.1; it answers. Try")
	if got := u.cyclops("", "submit", "long"); got.code != 0 {
		t.Fatal(got)
	}
	id := u.latest()
	eventually(t, "its first line", func() bool { return u.cyclops("", "logs", id).stdout != "" })
	install(u.builds[1], "lab runs executor v0.0.2; it answers, and 1 running job goes on. Try")
	install(u.builds[1], "lab has executor v0.0.2 already")
	for _, path := range []string{first, second} {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("a binary in use is gone: %v", err)
		}
	}
	if got := u.cyclops("", "gc", "-q", "lab"); got.code != 0 || strings.Contains(got.stdout, "cyclopsd") {
		t.Errorf("gc offers %v", got)
	}
	if err := os.WriteFile(filepath.Join(u.home, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := u.cyclops("", "wait", id); got.code != 0 {
		t.Errorf("wait: %v", got)
	}
	lines := strings.Fields(u.cyclops("", "logs", id).stdout)
	if len(lines) != 2 || lines[0] != lines[1] || lines[0] != u.tree {
		t.Errorf("its steps ran in %q, the tree is %s", lines, u.tree)
	}
	eventually(t, "the end of the old supervisor", func() bool {
		install(u.builds[1], "lab has executor v0.0.2 already")
		_, err := os.Stat(first)
		return os.IsNotExist(err)
	})
}
