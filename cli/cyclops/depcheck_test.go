package main_test

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/cyclops-fpga/cyclops/"

// layers says, for each part of the house, what of the house it may import. The first prefix
// that fits a package counts.
var layers = []struct {
	part string
	may  []string
}{
	{"manifest", []string{"manifest"}},
	{"executor/api", []string{"executor/api", "manifest"}},
	{"executor", []string{"executor", "manifest"}},
	{"remote", []string{"remote", "executor/api", "manifest"}},
	{"tui", []string{"tui", "executor/api", "manifest"}},
	{"cli/cyclops", []string{"cli", "executor"}},
	{"cli", []string{"cli", "tui", "remote", "executor/api", "manifest"}},
	{"docs", []string{"docs", "manifest"}},
	{"examples", nil},
}

func TestLowerLayersNeverImportHigherOnes(t *testing.T) {
	t.Parallel()
	for pkg, imports := range packages(t) {
		may, known := allowed(pkg)
		if !known {
			t.Errorf("%s belongs to no layer: add it to the table", pkg)
		}
		for _, imported := range imports {
			name, ours := strings.CutPrefix(imported, module)
			if ours && !slices.ContainsFunc(may, func(part string) bool { return within(name, part) }) {
				t.Errorf("%s imports %s", pkg, name)
			}
		}
	}
}

func TestTheTableForbidsWhatItShould(t *testing.T) {
	t.Parallel()
	for pkg, imported := range map[string]string{
		"manifest/pack":   "executor/api",
		"executor/api":    "executor/store",
		"executor/serve":  "remote/connect",
		"remote/connect":  "executor/layout",
		"tui":             "remote",
		"cli":             "executor/serve",
		"remote/fetch":    "cli",
		"executor/layout": "tui",
	} {
		may, _ := allowed(pkg)
		if slices.ContainsFunc(may, func(part string) bool { return within(imported, part) }) {
			t.Errorf("%s may import %s", pkg, imported)
		}
	}
}

func TestDocumentsTalkToNoNetwork(t *testing.T) {
	t.Parallel()
	linksNone(t, "./manifest/...", "net", "net/http", "crypto/tls", "golang.org/x/crypto")
}

func TestExecutorLinksNoScreenAndNoCommandLine(t *testing.T) {
	t.Parallel()
	linksNone(t, "./executor/cyclopsd", "charm.land", "github.com/charmbracelet", "github.com/spf13",
		"github.com/skeema/knownhosts", "github.com/kevinburke/ssh_config", "github.com/go-git",
		module+"remote", module+"cli", module+"tui")
}

func TestBinariesLinkNoFileSystem(t *testing.T) {
	t.Parallel()
	for _, binary := range []string{"./cli/cyclops", "./executor/cyclopsd"} {
		linksNone(t, binary, "github.com/hanwen", module+"executor/chaos")
	}
}

func TestScreenLinksNoSSH(t *testing.T) {
	t.Parallel()
	linksNone(t, "./tui/...", "golang.org/x/crypto/ssh", "github.com/pkg/sftp", module+"remote")
}

// The SFTP server is of a package that names types of the SSH client, so the package is linked;
// the code that dials and authenticates must not be.
func TestExecutorLinksNoSSHClient(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "cyclopsd")
	goCommand(t, "build", "-o", binary, "./executor/cyclopsd")
	symbols := goCommand(t, "tool", "nm", binary)
	if !bytes.Contains(symbols, []byte("main.main")) {
		t.Fatal("the binary has no symbols to look at")
	}
	for _, client := range []string{"golang.org/x/crypto/ssh.NewClientConn", "golang.org/x/crypto/ssh.Dial", "ssh.(*connection).clientAuthenticate"} {
		if bytes.Contains(symbols, []byte(client)) {
			t.Errorf("cyclopsd links %s", client)
		}
	}
}

func allowed(pkg string) (may []string, known bool) {
	for _, l := range layers {
		if within(pkg, l.part) {
			return l.may, true
		}
	}
	return nil, false
}

func within(pkg, part string) bool {
	return pkg == part || strings.HasPrefix(pkg, strings.TrimSuffix(part, "/")+"/")
}

// packages returns the imports of every package of the house, tests apart.
func packages(t *testing.T) map[string][]string {
	t.Helper()
	list := goCommand(t, "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...")
	found := map[string][]string{}
	for line := range strings.Lines(string(list)) {
		fields := strings.Fields(line)
		found[strings.TrimPrefix(fields[0], module)] = fields[1:]
	}
	if len(found) < 10 {
		t.Fatalf("go list found only %d packages", len(found))
	}
	return found
}

// linksNone takes packages of the standard library by their whole name, others by prefix.
func linksNone(t *testing.T, pkg string, forbidden ...string) {
	t.Helper()
	for dep := range strings.Lines(string(goCommand(t, "list", "-deps", pkg))) {
		dep = strings.TrimSpace(dep)
		if slices.ContainsFunc(forbidden, func(f string) bool { return dep == f || strings.Contains(f, ".") && within(dep, f) }) {
			t.Errorf("%s links %s", pkg, dep)
		}
	}
}

func goCommand(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = filepath.Join("..", "..")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return out
}
