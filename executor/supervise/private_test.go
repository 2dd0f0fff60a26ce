//go:build linux

package supervise

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cyclops-fpga/cyclops/manifest"
)

// withEnv gives the job the login environment that the test names.
func (j *job) withEnv(vars ...string) *job {
	j.launch.SetEnviron(append([]string{"PATH=" + os.Getenv("PATH")}, vars...))
	return j
}

func (j *job) finish() *manifest.Manifest {
	j.t.Helper()
	j.begin()
	return j.end()
}

func TestEachJobHasATmpdir(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	line := sh(`echo "$TMPDIR"; stat -c %a "$TMPDIR"; ls -A "$TMPDIR" | wc -l; mkdir -p "$TMPDIR/a/b"; echo x >"$TMPDIR/a/b/f"; chmod 0 "$TMPDIR/a"; mktemp`)
	scratch := t.TempDir()
	for base, want := range map[string]string{scratch: scratch + "/cyclops-", "": string(b.data) + "/tmp/", "/no/such": string(b.data) + "/tmp/", "relative": string(b.data) + "/tmp/", "/proc": string(b.data) + "/tmp/"} {
		j := b.make(line).withEnv("HOME="+t.TempDir(), "TMPDIR="+base)
		m := j.finish()
		wantExit(t, m, manifest.Succeeded, 0)
		lines := strings.Split(j.text(0), "\n")
		if len(lines) < 4 || lines[0] != want+j.ID || lines[1] != "700" || lines[2] != "0" || !strings.HasPrefix(lines[3], lines[0]+"/") {
			t.Errorf("TMPDIR=%s gives %q, want %s", base, lines, want+j.ID)
		}
		if _, err := os.Lstat(lines[0]); !os.IsNotExist(err) || len(Leftovers(b.data)) != 0 || m.Extra["tmpdir"] != nil {
			t.Errorf("%s stays: %v, %v", lines[0], err, m.Extra)
		}
		if len(m.Artifacts) != 2 {
			t.Errorf("artifacts are %+v", m.Artifacts)
		}
	}
	j, _ := b.run(sh(`echo "$TMPDIR"`), func(j *manifest.Job) { j.SetEnv(manifest.Variable{Name: "TMPDIR", Value: "/mine"}) })
	if j.text(0) != "/mine\n" {
		t.Errorf("the job's own TMPDIR is lost: %q", j.text(0))
	}
}

func TestAHomeOfItsOwn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	home := t.TempDir()
	j := b.make(sh(`echo "$HOME"; stat -c %a "$HOME"; ls -A "$HOME" | wc -l; echo "${XDG_CONFIG_HOME-none} ${XDG_DATA_DIRS-none}"; mkdir ~/.Xilinx; echo ~`),
		func(j *manifest.Job) { j.Home = manifest.PrivateHome }).withEnv("HOME="+home, "XDG_CONFIG_HOME="+home+"/.config", "XDG_DATA_DIRS=/usr/share")
	m := j.finish()
	wantExit(t, m, manifest.Succeeded, 0)
	own := filepath.Join(b.data.JobTmp(j.ID), "home")
	if want := own + "\n700\n0\nnone /usr/share\n" + own + "\n"; j.text(0) != want || m.Home != manifest.PrivateHome {
		t.Errorf("log %q, want %q; home %q", j.text(0), want, m.Home)
	}
	if _, err := os.Lstat(own); !os.IsNotExist(err) {
		t.Errorf("the home stays: %v", err)
	}
	if entries, err := os.ReadDir(home); err != nil || len(entries) != 0 {
		t.Errorf("the user's home holds %v, %v", entries, err)
	}
}

func TestLeftoversAreRemoved(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	base, other, live := t.TempDir(), manifest.NewID(), manifest.NewID()
	tmp, err := makeTmp(b.data, other, base)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tmp, "f"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := makeTmp(b.data, live, ""); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(base, "precious")
	planted := manifest.NewID()
	if err := os.Mkdir(outside, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, b.data.JobTmp(planted)); err != nil {
		t.Fatal(err)
	}
	if got := Leftovers(b.data); len(got) != 3 {
		t.Errorf("leftovers are %v", got)
	}
	if err := CleanUp(b.data, other, planted, manifest.NewID()); err != nil {
		t.Fatal(err)
	}
	if got := Leftovers(b.data); len(got) != 1 || got[0] != live {
		t.Errorf("leftovers are %v", got)
	}
	if _, err := os.Lstat(tmp); !os.IsNotExist(err) {
		t.Errorf("%s stays: %v", tmp, err)
	}
	if _, err := os.Lstat(outside); err != nil {
		t.Errorf("a planted link led out: %v", err)
	}
}
