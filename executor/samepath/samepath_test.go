//go:build linux

package samepath

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAPathThatExists(t *testing.T) {
	t.Parallel()
	asEveryone(t, func(t *testing.T) {
		b := newBench(t, "")
		b.req.Root = filepath.Join(b.dir, "there")
		b.write(filepath.Join(b.req.Root, "hidden"), "the host's\n")
		o := b.run(Step{Argv: []string{"sh", "-c", "pwd; pwd -P; cat file; ls; echo made >made; : $(:)"}, Dir: ""})
		if want := b.req.Root + "\n" + b.req.Root + "\nfrom the workspace\nfile\nsub dir\n"; o.out != want || o.code != 0 {
			t.Errorf("got %+v, want %q", o, want)
		}
		if b.read(filepath.Join(b.req.Workspace, "made")) != "made\n" {
			t.Error("what was written there is not in the workspace")
		}
		if names, err := os.ReadDir(b.req.Root); err != nil || len(names) != 1 {
			t.Errorf("the host's directory holds %v, %v", names, err)
		}
	})
}

func TestAPathThatCanBeMade(t *testing.T) {
	t.Parallel()
	asEveryone(t, func(t *testing.T) {
		b := newBench(t, "")
		b.req.Root = filepath.Join(b.dir, "a\nb", "c d", "é")
		o := b.run(Step{Argv: []string{"sh", "-c", "pwd -P; cat ../file; echo x >made"}, Dir: "sub dir"})
		if want := b.req.Root + "/sub dir\nfrom the workspace\n"; o.out != want {
			t.Errorf("got %+v, want %q", o, want)
		}
		b.read(filepath.Join(b.req.Workspace, "sub dir", "made"))
		if _, err := os.Lstat(filepath.Join(b.dir, "a\nb")); !os.IsNotExist(err) {
			t.Errorf("the mount point stays: %v", err)
		}
		if notes, err := os.ReadDir(b.req.Records); err != nil || len(notes) != 0 {
			t.Errorf("notes stay: %v, %v", notes, err)
		}
	})
}

// A user who may not make the path gets a mirror of the directory that lacks it.
func TestMirrors(t *testing.T) {
	t.Parallel()
	asUser(t, func(t *testing.T) {
		for _, base := range []string{"/", "/home", "/opt"} {
			b := newBench(t, missing(base))
			b.write(filepath.Join(b.dir, "outside"), "seen\n")
			top := filepath.Join(base, strings.Split(strings.TrimPrefix(b.req.Root, base), "/")[0])
			before, err := os.ReadDir(base)
			if err != nil {
				t.Skip(err)
			}
			o := b.sh("pwd -P; cat " + b.dir + "/outside; echo made >made; echo a >" + b.dir + "/new; ls -1a " + base + " | wc -l; cat " + b.req.Workspace + "/made")
			lines := strings.Split(o.out, "\n")
			if len(lines) < 4 || lines[0] != b.req.Root || lines[1] != "seen" || lines[3] != "made" {
				t.Errorf("%s: %+v", base, o)
			}
			if b.read(filepath.Join(b.dir, "new")) != "a\n" || b.read(filepath.Join(b.req.Workspace, "made")) != "made\n" {
				t.Errorf("%s: writes are lost", base)
			}
			after, err := os.ReadDir(base)
			if err != nil || len(after) != len(before) {
				t.Errorf("%s: %d entries before, %d after, %v", base, len(before), len(after), err)
			}
			if _, err := os.Lstat(top); top != base && !os.IsNotExist(err) {
				t.Errorf("%s shows on the host: %v", top, err)
			}
		}
	})
}

// What is written into a mirror would be lost, so it must fail, and the job must not be able to change that.
func TestMirrorsAreClosedForGood(t *testing.T) {
	t.Parallel()
	asUser(t, func(t *testing.T) {
		for _, base := range []string{"/", "/home"} {
			b := newBench(t, missing(base))
			parent := filepath.Dir(b.req.Root)
			for _, line := range []string{
				"echo x >'" + parent + "/sibling'", "mkdir '" + filepath.Dir(parent) + "/bob'", "rm -r '" + parent + "'",
				"mount -o remount,rw,bind " + base, "umount -l '" + b.req.Root + "'", "mount -t tmpfs none '" + b.req.Root + "'",
				"unshare -Urm mount -o remount,rw,bind " + base,
			} {
				if o := b.sh(line); o.code == 0 {
					t.Errorf("%s: %s works: %s", base, line, o.out)
				}
			}
		}
	})
}

func TestTheJobHoldsNoRights(t *testing.T) {
	t.Parallel()
	asUser(t, func(t *testing.T) {
		b := newBench(t, "")
		b.req.Root = filepath.Join(b.dir, "there")
		o := b.sh("grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status; ls -l /proc/self/fd; env")
		if strings.Count(o.out, "0000000000000000") != 5 {
			t.Errorf("rights are left: %s", o.out)
		}
		if strings.Contains(o.out, "memfd") || strings.Contains(o.out, ".test") || strings.Contains(o.out, "GOGC") || strings.Contains(o.out, "GORACE") {
			t.Errorf("descriptors or variables are left: %s", o.out)
		}
		if o := b.sh("id -u; id -g; test -O file"); o.code != 0 || !strings.HasPrefix(o.out, "65534\n") && os.Getenv("AGAIN") != "" {
			t.Errorf("the user is another: %+v", o)
		}
	})
}

// Root without the right to mount, as in many containers, gets a user namespace with every user in it.
func TestRootWithoutTheRightToMount(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("takes root")
	}
	if _, err := exec.LookPath("setpriv"); err != nil {
		t.Skip(err)
	}
	needNamespaces(t)
	if os.Getenv("AGAIN") == "" {
		again(t, nil, "without CAP_SYS_ADMIN", "setpriv", "--bounding-set", "-sys_admin")
		return
	}
	b := newBench(t, "")
	b.req.Root = filepath.Join(b.dir, "there")
	o := b.sh("pwd; touch mine && chown 65534:65534 mine && stat -c %u mine; mount -t tmpfs none . && echo mounted")
	if want := b.req.Root + "\n65534\n"; !strings.HasPrefix(o.out, want) || strings.Contains(o.out, "mounted") {
		t.Errorf("got %+v, want %q", o, want)
	}
}

// Who is root with all rights keeps them: set-uid programs and changes of owner work.
func TestRootLosesNothing(t *testing.T) {
	t.Parallel()
	if own, err := ownRights(); err != nil || !own.has(unix.CAP_SYS_ADMIN) {
		t.Skip("takes root with all rights")
	}
	b := newBench(t, "")
	b.req.Root = filepath.Join(b.dir, "there")
	o := b.sh("chown 65534:65534 file && stat -c %u file && readlink /proc/self/ns/user")
	outside, err := os.Readlink("/proc/self/ns/user")
	if want := "65534\n" + outside + "\n"; o.out != want || err != nil {
		t.Errorf("got %+v, want %q", o, want)
	}
}

func TestHostilePaths(t *testing.T) {
	t.Parallel()
	asEveryone(t, func(t *testing.T) {
		b := newBench(t, "")
		home, tools, data := filepath.Join(b.dir, "homes", "me"), filepath.Join(b.dir, "opt", "tool", "bin"), filepath.Join(b.dir, "data")
		for _, dir := range []string{home, tools, filepath.Join(data, "workspaces", "w")} {
			b.write(filepath.Join(dir, "f"), "")
		}
		b.write(filepath.Join(b.dir, "a file"), "")
		for from, to := range map[string]string{"link": "homes", "hlink": "homes/me"} {
			if err := os.Symlink(filepath.Join(b.dir, to), filepath.Join(b.dir, from)); err != nil {
				t.Fatal(err)
			}
		}
		b.req.Keep = []Kept{
			{What: "the home directory", Path: filepath.Join(b.dir, "hlink")},
			{What: "a directory of tools", Path: tools},
			{What: "the data directory", Path: data, Inside: true},
		}
		for root, want := range map[string]string{
			"/": "/ itself", "/usr": "system", "/home": "system", "/tmp": "system", "/etc/x": "/etc", "/proc/1": "/proc", "/dev/shm/x": "/dev", "/usr/bin/x": "/usr/bin",
			"": "no absolute path", "relative": "no absolute path", "/a/../b": "no absolute path", "/a/": "no absolute path", "/a\x00b": "no absolute path",
			home: "is the home directory", filepath.Dir(home): "contains the home directory", filepath.Join(b.dir, "hlink"): "is the home directory",
			filepath.Join(b.dir, "link", "x"): "symbolic link", b.dir: "contains",
			tools: "is a directory of tools", filepath.Join(b.dir, "opt"): "contains a directory of tools",
			data: "is the data directory", filepath.Join(data, "workspaces", "w"): "lies in the data directory", filepath.Join(data, "new"): "lies in the data directory",
			filepath.Join(b.dir, "a file"): "is a file", filepath.Join(b.dir, "a file", "x"): "is a file",
			filepath.Join(b.dir, strings.Repeat("x", 300)): "cannot be looked at",
		} {
			r := b.req
			r.Root = root
			wantOff(t, r, want)
		}
		if notes, err := os.ReadDir(b.req.Records); err == nil && len(notes) != 0 {
			t.Errorf("a refusal left %v", notes)
		}
		// Inside the home is where most trees are.
		b.req.Root = filepath.Join(home, "proj")
		if o := b.sh("pwd"); o.out != b.req.Root+"\n" {
			t.Errorf("in the home: %+v", o)
		}
	})
}

func TestCommandsThatDoNotRun(t *testing.T) {
	t.Parallel()
	asEveryone(t, func(t *testing.T) {
		b := newBench(t, "")
		b.req.Root = filepath.Join(b.dir, "there")
		b.write(filepath.Join(b.req.Workspace, "no-interpreter"), "#!/no/such\n")
		b.write(filepath.Join(b.req.Workspace, "binary"), "\x00\x01\x02")
		b.write(filepath.Join(b.req.Workspace, "script"), "echo a script \"$1\" $0\n")
		for _, name := range []string{"no-interpreter", "binary", "script"} {
			if err := os.Chmod(filepath.Join(b.req.Workspace, name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for name, want := range map[string]string{
			"no-such-tool": "127 no-such-tool: command not found", "./absent": "127 ./absent: no such file", "./sub dir": "126 ./sub dir: is a directory",
			"./file": "126 ./file: permission denied", "./no-interpreter": "127 ./no-interpreter: its interpreter or loader is not there",
			"./binary": "126 ./binary: cannot execute binary file", "": "127 '': command not found",
		} {
			o := b.run(Step{Argv: []string{name}})
			if o.cannot == nil {
				t.Errorf("%s: %+v", name, o)
			} else if got := strings.Join([]string{itoa(o.cannot.Code), o.cannot.Error()}, " "); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
		if o := b.run(Step{Argv: []string{filepath.Join(b.req.Root, "script"), "x"}}); o.out != "a script x "+b.req.Root+"/script\n" {
			t.Errorf("%+v", o)
		}
		if o := b.run(Step{Argv: []string{"printf", "%s|", "\xff", ""}, Env: []string{"PATH=" + os.Getenv("PATH"), "GODEBUG=inittrace=1"}}); o.out != "\xff||" {
			t.Errorf("%+v", o)
		}
	})
}

// Compilers write the paths that they see into what they make.
func TestDependencyFilesNameTheClientsPath(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip(err)
	}
	asEveryone(t, func(t *testing.T) {
		b := newBench(t, "")
		b.req.Root = filepath.Join(b.dir, "there")
		b.write(filepath.Join(b.req.Workspace, "a.c"), "#include \"a.h\"\nint a;\n")
		b.write(filepath.Join(b.req.Workspace, "a.h"), "\n")
		if o := b.sh("gcc -g -MD -c -o a.o $PWD/a.c"); o.code != 0 {
			t.Fatalf("%+v", o)
		}
		if d := b.read(filepath.Join(b.req.Workspace, "a.d")); !strings.Contains(d, b.req.Root+"/a.h") {
			t.Errorf("the dependencies are %s", d)
		}
	})
}

func TestProbe(t *testing.T) {
	t.Parallel()
	asEveryone(t, func(t *testing.T) {
		dir := t.TempDir()
		if why := Probe(t.Context(), []string{"cyclopsd", "executor"}, dir); why != "" {
			t.Error(why)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("left %v, %v", left, err)
		}
	})
	if why := Probe(t.Context(), []string{"cyclopsd", "executor"}, "/no/such"); why == "" {
		t.Error("works without a scratch directory")
	}
}
