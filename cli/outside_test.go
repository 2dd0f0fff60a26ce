package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestOutsideIsNamed(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	base, err := filepath.EvalSymlinks(base)
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(base, "work", "proj")
	for _, dir := range []string{"work/proj/sub/src", "work/ip_repo", "elsewhere/ip"} {
		if err := os.MkdirAll(filepath.Join(base, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../ip_repo", filepath.Join(root, "ip")); err != nil {
		t.Fatal(err)
	}
	ip := filepath.Join(base, "elsewhere", "ip")
	o := outside{cwd: filepath.Join(root, "sub"), root: root}
	for _, c := range []struct {
		args string
		want string
	}{
		{"make -C src", ""},
		{"cat ../sub/src", ""},
		{"cat ../../ip_repo", "../../ip_repo"},
		{"cat ../../nothing-here", ""},
		{"../../ip_repo/tool x", ""}, // the command itself: the host says that it is not there
		{"cc -I../../ip_repo -Isrc a.c", "../../ip_repo"},
		{"vlog +incdir+../../ip_repo+src +define+X=1", "../../ip_repo"},
		{"vivado --repo=" + ip, ip},
		{"vivado -source src:../../ip_repo", "../../ip_repo"},
		{"make LIBS=../../ip_repo,src", "../../ip_repo"},
		{"cat " + root + "/sub/src", ""},
		{"cat " + ip + " " + ip, ip},
		{"cat /dev/null /usr /etc/passwd / /tmp", ""},
		{"sed s/../x/", ""},
		{"cat ../ip", "../ip"}, // a link in the tree that leads out of it
		{"ls ../..", "../.."},
	} {
		found := o.find(strings.Split(c.args, " "))
		if got := strings.Join(found, " "); got != c.want {
			t.Errorf("%s: %q, want %q", c.args, got, c.want)
		}
	}
	text := o.text([]string{"../../ip_repo"}, "lab")
	if !strings.Contains(text, "make "+filepath.Join(base, "work")+" the root") || strings.Contains(text, "\n") {
		t.Error(text)
	}
	local := outside{cwd: o.cwd, root: root, local: true}
	if got := local.find([]string{"cat", ip, "../../ip_repo"}); !slices.Equal(got, []string{"../../ip_repo"}) {
		t.Errorf("on this machine: %q", got)
	}
}
