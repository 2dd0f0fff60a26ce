package install

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/install/embedded"
)

const module = "github.com/cyclops-fpga/cyclops"

// binary is an executor that is to be put on a host.
type binary struct {
	data   []byte
	digest string // SHA-256 in hex
	from   string // where it is from, for people
}

func newBinary(data []byte, from string) *binary {
	sum := sha256.Sum256(data)
	return &binary{data: data, digest: hex.EncodeToString(sum[:]), from: from}
}

// choose finds an executor for a host: the file that was named, the one that this release
// carries, this very program, or one built from source.
func choose(ctx context.Context, h *Host, opt Options) (*binary, error) {
	if opt.Binary != "" {
		data, err := os.ReadFile(opt.Binary)
		if err != nil {
			return nil, api.Errorf(api.Usage, "", "unable to read the executor: %w", err)
		}
		return newBinary(data, opt.Binary), nil
	}
	if !supported(h) {
		return nil, api.Errorf(api.NoExecutor, "executors run on Linux: amd64, arm64, arm", "there is no executor for %s/%s", h.OS, h.Arch)
	}
	data, ok, err := embedded.Executor(h.OS, h.Arch)
	if err != nil {
		return nil, err
	}
	if ok {
		return newBinary(data, "carried by this release"), nil
	}
	if h.OS == runtime.GOOS && h.Arch == runtime.GOARCH && opt.Self != "" {
		return itself(opt.Self)
	}
	return build(ctx, h)
}

func supported(h *Host) bool {
	return h.OS == "linux" && (h.Arch == "amd64" || h.Arch == "arm64" || h.Arch == "arm")
}

func itself(path string) (*binary, error) {
	if runtime.GOOS == "linux" {
		path = "/proc/self/exe" // the file may have been replaced since this program started
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, api.Errorf(api.Internal, "", "unable to read this program: %w", err)
	}
	return newBinary(data, "this program itself"), nil
}

// build makes an executor with the Go toolchain where the source is at hand.
func build(ctx context.Context, h *Host) (*binary, error) {
	lacking := func(why string) error {
		return api.Errorf(api.NoExecutor, "name one with --binary FILE, or run this in Cyclops' source tree with Go installed",
			"this build carries no executor for %s/%s, and %s", h.OS, h.Arch, why)
	}
	program, err := exec.LookPath("go")
	if err != nil {
		return nil, lacking("there is no Go toolchain")
	}
	list := exec.CommandContext(ctx, program, "list", "-m", "-f", "{{.Dir}}", module)
	root, err := list.Output()
	if err != nil {
		return nil, lacking("its source is not here")
	}
	dir, err := os.MkdirTemp("", "cyclops-build-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "cyclopsd")
	cmd := exec.CommandContext(ctx, program, "build", "-trimpath", "-ldflags", "-s -w", "-o", out, "./executor/cyclopsd")
	cmd.Dir = strings.TrimSpace(string(root))
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARM=7", "GOOS="+h.OS, "GOARCH="+h.Arch)
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, api.Errorf(api.NoExecutor, "", "unable to build an executor for %s/%s: %w: %s", h.OS, h.Arch, err, text)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		return nil, err
	}
	return newBinary(data, fmt.Sprintf("built from %s", cmd.Dir)), nil
}
