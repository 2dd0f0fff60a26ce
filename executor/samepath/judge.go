//go:build linux

package samepath

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// spared are the host's own directories: covering one would take the system away from the job.
var spared = []string{
	"/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib32", "/lib64", "/libx32", "/media", "/mnt", "/opt", "/proc", "/root",
	"/run", "/sbin", "/srv", "/sys", "/tmp", "/usr", "/usr/bin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec", "/usr/local", "/usr/local/bin",
	"/usr/local/lib", "/usr/local/sbin", "/usr/sbin", "/usr/share", "/var", "/var/lib", "/var/run", "/var/tmp",
}

// closed are directories in which nothing of a user's can lie.
var closed = []string{
	"/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/sbin", "/sys",
	"/usr/bin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec", "/usr/sbin",
}

// within tells whether path is dir or lies below it.
func within(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}

// judge refuses paths at which a workspace would hide what the job or the host needs.
func (r *Request) judge() error {
	if !filepath.IsAbs(r.Root) || filepath.Clean(r.Root) != r.Root || strings.ContainsRune(r.Root, 0) {
		return off("%q is no absolute path of this host", r.Root)
	}
	if r.Root == "/" {
		return off("the tree's path is / itself")
	}
	if slices.Contains(spared, r.Root) {
		return off("%s belongs to the host's system", r.Root)
	}
	for _, dir := range closed {
		if within(r.Root, dir) {
			return off("%s lies in %s, which belongs to the host's system", r.Root, dir)
		}
	}
	for _, k := range r.Keep {
		if err := k.judge(r.Root); err != nil {
			return err
		}
	}
	return nil
}

func (k Kept) judge(root string) error {
	for _, path := range k.forms() {
		switch {
		case root == path:
			return off("%s is %s on the host", root, k.What)
		case within(path, root):
			return off("%s contains %s on the host, %s", root, k.What, k.Path)
		case k.Inside && within(root, path):
			return off("%s lies in %s on the host", root, k.What)
		}
	}
	return nil
}

// forms returns the path as it is written and as it is without symlinks.
func (k Kept) forms() []string {
	if !filepath.IsAbs(k.Path) {
		return nil
	}
	all := []string{filepath.Clean(k.Path)}
	if real, err := filepath.EvalSymlinks(k.Path); err == nil && real != all[0] {
		all = append(all, real)
	}
	return all
}

// maxSiblings bounds the mounts of a mirror; each takes about 40 µs.
const maxSiblings = 1000

// judgeMirror refuses to mirror what would lose the job something.
func (r *Request) judgeMirror(g ground) error {
	if g.hidden != "" {
		hidden := filepath.Join(g.base, g.hidden)
		if unix.Access(g.base, unix.W_OK) == nil {
			return off("the host does not let the job into %s", hidden)
		}
		for _, k := range r.Keep {
			if err := k.judge(hidden); err != nil {
				return err
			}
		}
	}
	if name := filesystem(g.base); name != "" {
		return off("%s does not exist on the host, and %s is on %s", r.Root, g.base, name)
	}
	dir, err := os.Open(g.base)
	if err != nil {
		return off("%s does not exist on the host, and %s cannot be read", r.Root, g.base)
	}
	names, err := dir.Readdirnames(maxSiblings + 1)
	dir.Close()
	if len(names) > maxSiblings {
		return off("%s does not exist on the host, and %s has more than %d entries", r.Root, g.base, maxSiblings)
	}
	if err != nil && len(names) > 0 {
		return fmt.Errorf("unable to read %s: %w", g.base, err)
	}
	return onDemand(g.base)
}

// autofsMagic is what statfs says of a directory that mounts on demand.
const autofsMagic = 0x0187

// filesystem names a file system that must not be mirrored.
func filesystem(dir string) string {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return "an unknown file system"
	}
	switch int64(st.Type) {
	case autofsMagic:
		return "autofs, which mounts on demand"
	case unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC, unix.CGROUP_SUPER_MAGIC, unix.CGROUP2_SUPER_MAGIC:
		return "a file system of the kernel's own"
	}
	return ""
}

// onDemand refuses a directory with an entry that is a direct autofs mount: to mirror the entry
// would mount it, and wait for a server that may be gone.
func onDemand(base string) error {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return off("the host has no /proc")
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		left, right, _ := strings.Cut(lines.Text(), " - ")
		fields := strings.Fields(left)
		if len(fields) > 4 && strings.HasPrefix(right, "autofs ") && strings.Contains(right, "direct") && !strings.Contains(right, "indirect") &&
			filepath.Dir(unescape(fields[4])) == base {
			return off("%s is mounted on demand (autofs)", unescape(fields[4]))
		}
	}
	return nil
}

// unescape undoes how mountinfo writes a path.
func unescape(path string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(path)
}
