//go:build linux

package powerfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// Options says how a file system behaves.
type Options struct {
	// Ledger is the name of a file in the mounted directory. Each line that is written to it becomes a mark,
	// so that what a process says there has its place among the operations of others.
	Ledger string
	// SyncTakes is how long each fsync takes, as on a disk: whoever answers a client before it has
	// returned is seen to.
	SyncTakes time.Duration
	// FailSync is which fsync fails, counted from the first mark; 0: none does.
	FailSync int
}

// FS is a mounted file system.
type FS struct {
	Options
	server *fuse.Server

	mu  sync.Mutex // held over each operation and its entry in the trace
	ops []Op
	ids map[key]uint64
	// ledger is the inode of the ledger, 0 before it is made.
	ledger uint64
	last   uint64
	begun  bool // there is a mark
	syncs  int  // since then
}

// key is what the directory below knows a file by.
type key struct{ ino, gen uint64 }

// ErrUnavailable says that this machine mounts no file systems of this kind.
var ErrUnavailable = errors.New("no FUSE file system can be mounted here")

// Mount mounts the empty directory backing at the directory at.
func Mount(backing, at string, o Options) (*FS, error) {
	f := &FS{Options: o, ids: map[key]uint64{}, last: rootInode}
	info, err := os.Stat(backing)
	if err != nil {
		return nil, fmt.Errorf("unable to mount: %w", err)
	}
	data := &fs.LoopbackRoot{Path: backing, Dev: info.Sys().(*syscall.Stat_t).Dev}
	//nolint:staticcheck // what takes its place wraps a node that was made already, and ours holds the file system
	data.NewNode = func(*fs.LoopbackRoot, *fs.Inode, string, *syscall.Stat_t) fs.InodeEmbedder {
		return &node{LoopbackNode: fs.LoopbackNode{RootData: data}, fs: f}
	}
	root := &node{LoopbackNode: fs.LoopbackNode{RootData: data}, fs: f}
	data.RootNode = root
	forever := time.Hour // nobody changes it but through the mount
	f.server, err = fs.Mount(at, root, &fs.Options{
		EntryTimeout: &forever, AttrTimeout: &forever,
		MountOptions: fuse.MountOptions{DirectMountStrict: true, DisableXAttrs: true, FsName: "powerfs", Name: "powerfs"},
	})
	if err != nil {
		return nil, errors.Join(ErrUnavailable, err)
	}
	return f, nil
}

// Unmount ends the file system; nothing may be open in it.
func (f *FS) Unmount() error {
	if err := f.server.Unmount(); err != nil {
		return fmt.Errorf("unable to unmount: %w", err)
	}
	f.server.Wait()
	return nil
}

// Trace returns what happened so far.
func (f *FS) Trace() *Trace {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &Trace{Ops: append([]Op(nil), f.ops...)}
}

// add appends to the trace. f.mu is held.
func (f *FS) add(op Op) int {
	f.ops = append(f.ops, op)
	return len(f.ops) - 1
}

// made gives a new inode its number. f.mu is held.
func (f *FS) made(i *fs.Inode) uint64 {
	f.last++
	f.ids[key{i.StableAttr().Ino, i.StableAttr().Gen}] = f.last
	return f.last
}

// node is a file or a directory.
type node struct {
	fs.LoopbackNode
	fs   *FS
	open []*handle
}

// opened makes a handle. n.fs.mu is held.
func (n *node) opened(fh fs.FileHandle) *handle {
	h := &handle{LoopbackFile: fh.(*fs.LoopbackFile), fs: n.fs, id: n.id(), node: n}
	n.open = append(n.open, h)
	return h
}

// id returns the number of a node. f.mu is held.
func (n *node) id() uint64 {
	if n.IsRoot() {
		return rootInode
	}
	return n.fs.ids[key{n.StableAttr().Ino, n.StableAttr().Gen}]
}

func (n *node) below(name string) string {
	return filepath.Join(n.RootData.Path, n.Path(n.Root()), name)
}

// named records a new name.
func (n *node) named(kind Kind, name string, data []byte, make func() (*fs.Inode, syscall.Errno)) (*fs.Inode, syscall.Errno) {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	inode, errno := make()
	if errno == 0 {
		var st syscall.Stat_t
		_ = syscall.Lstat(n.below(name), &st)
		n.fs.add(Op{Kind: kind, Inode: n.fs.made(inode), Dir: n.id(), Name: name, Mode: st.Mode & 0o7777, Data: data})
	}
	return inode, errno
}

func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return n.named(Mkdir, name, nil, func() (*fs.Inode, syscall.Errno) { return n.LoopbackNode.Mkdir(ctx, name, mode, out) })
}

func (n *node) Mknod(ctx context.Context, name string, mode, dev uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	kind := Mknod
	if mode&syscall.S_IFMT == syscall.S_IFREG {
		kind = Create
	}
	return n.named(kind, name, nil, func() (*fs.Inode, syscall.Errno) { return n.LoopbackNode.Mknod(ctx, name, mode, dev, out) })
}

func (n *node) Symlink(ctx context.Context, target, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return n.named(Symlink, name, []byte(target), func() (*fs.Inode, syscall.Errno) { return n.LoopbackNode.Symlink(ctx, target, name, out) })
}

func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	n.fs.mu.Lock()
	_, err := os.Lstat(n.below(name))
	n.fs.mu.Unlock()
	if err == nil {
		return nil, nil, 0, syscall.EEXIST // the kernel looks before it asks, so that this is a race of two
	}
	var fh fs.FileHandle
	var fuseFlags uint32
	inode, errno := n.named(Create, name, nil, func() (inode *fs.Inode, errno syscall.Errno) {
		inode, fh, fuseFlags, errno = n.LoopbackNode.Create(ctx, name, flags, mode, out)
		return inode, errno
	})
	if errno != 0 {
		return nil, nil, 0, errno
	}
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	made := inode.Operations().(*node)
	if n.IsRoot() && name == n.fs.Ledger {
		n.fs.ledger = made.id()
	}
	return inode, made.opened(fh), fuseFlags, 0
}

func (n *node) Link(ctx context.Context, target fs.InodeEmbedder, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	inode, errno := n.LoopbackNode.Link(ctx, target, name, out)
	if errno == 0 {
		n.fs.add(Op{Kind: Link, Inode: target.(*node).id(), Dir: n.id(), Name: name})
	}
	return inode, errno
}

func (n *node) Unlink(ctx context.Context, name string) syscall.Errno {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	errno := n.LoopbackNode.Unlink(ctx, name)
	if errno == 0 {
		n.fs.add(Op{Kind: Unlink, Dir: n.id(), Name: name})
	}
	return errno
}

func (n *node) Rmdir(ctx context.Context, name string) syscall.Errno {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	errno := n.LoopbackNode.Rmdir(ctx, name)
	if errno == 0 {
		n.fs.add(Op{Kind: Rmdir, Dir: n.id(), Name: name})
	}
	return errno
}

// exchange is RENAME_EXCHANGE, which nothing here uses.
const exchange = 2

func (n *node) Rename(ctx context.Context, name string, parent fs.InodeEmbedder, to string, flags uint32) syscall.Errno {
	if flags&exchange != 0 {
		return syscall.EINVAL
	}
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	errno := n.LoopbackNode.Rename(ctx, name, parent, to, flags)
	if errno == 0 {
		n.fs.add(Op{Kind: Rename, Dir: n.id(), Name: name, ToDir: parent.(*node).id(), To: to})
	}
	return errno
}

func (n *node) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	fh, fuseFlags, errno := n.LoopbackNode.Open(ctx, flags)
	if errno != 0 {
		return nil, 0, errno
	}
	if flags&syscall.O_TRUNC != 0 {
		n.fs.add(Op{Kind: Truncate, Inode: n.id()})
	}
	return n.opened(fh), fuseFlags, 0
}

// Setattr records sizes and modes.
func (n *node) Setattr(ctx context.Context, fh fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	if fh == nil && len(n.open) > 0 {
		fh = n.open[0] // the kernel names none, and the path may be gone
	}
	errno := n.LoopbackNode.Setattr(ctx, fh, in, out)
	if errno != 0 {
		return errno
	}
	if size, ok := in.GetSize(); ok {
		n.fs.add(Op{Kind: Truncate, Inode: n.id(), At: int64(size)})
	}
	if mode, ok := in.GetMode(); ok {
		n.fs.add(Op{Kind: Chmod, Inode: n.id(), Mode: mode & 0o7777})
	}
	return 0
}

// CopyFileRange makes the kernel copy by reading and writing.
func (n *node) CopyFileRange(context.Context, fs.FileHandle, uint64, *fs.Inode, fs.FileHandle, uint64, uint64, uint64) (uint32, syscall.Errno) {
	return 0, syscall.ENOSYS
}

// Fsync is that of files.
func (n *node) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	return n.sync()
}

func (n *node) sync() syscall.Errno {
	n.fs.mu.Lock()
	id := n.id()
	begin := n.fs.add(Op{Kind: SyncBegin, Inode: id})
	fails := n.fs.failsNow()
	n.fs.mu.Unlock()
	time.Sleep(n.fs.SyncTakes)
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	if fails {
		n.fs.add(Op{Kind: SyncFail, Inode: id, Begin: begin, Name: n.Path(n.Root())})
		return syscall.EIO
	}
	n.fs.add(Op{Kind: SyncEnd, Inode: id, Begin: begin})
	return 0
}

// failsNow counts a sync and tells whether it is the one that fails. f.mu is held.
func (f *FS) failsNow() bool {
	if f.begun {
		f.syncs++
	}
	return f.begun && f.syncs == f.FailSync
}

// OpendirHandle returns a directory whose fsync is seen.
func (n *node) OpendirHandle(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	fh, fuseFlags, errno := n.LoopbackNode.OpendirHandle(ctx, flags)
	if errno != 0 {
		return nil, 0, errno
	}
	return &directory{stream: fh.(stream), node: n}, fuseFlags, 0
}

type stream interface {
	fs.FileReaddirenter
	fs.FileSeekdirer
	fs.FileReleasedirer
}

type directory struct {
	stream
	node *node
}

// Fsyncdir is the fsync of a directory.
func (d *directory) Fsyncdir(context.Context, uint32) syscall.Errno {
	return d.node.sync()
}

// handle is an open file.
type handle struct {
	*fs.LoopbackFile
	fs   *FS
	node *node
	id   uint64
}

// Release closes the file.
func (h *handle) Release(ctx context.Context) syscall.Errno {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	h.node.open = slices.DeleteFunc(h.node.open, func(other *handle) bool { return other == h })
	return h.LoopbackFile.Release(ctx)
}

func (h *handle) Write(ctx context.Context, data []byte, at int64) (uint32, syscall.Errno) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	n, errno := h.LoopbackFile.Write(ctx, data, at)
	if errno != 0 {
		return 0, errno
	}
	op := Op{Kind: Write, Inode: h.id, At: at, Data: append([]byte(nil), data[:n]...)}
	if h.id == h.fs.ledger {
		op, h.fs.begun = Op{Kind: Mark, Data: op.Data}, true
	}
	h.fs.add(op)
	return n, 0
}

// Allocate records what of it can be seen: a file that grew.
func (h *handle) Allocate(ctx context.Context, at, size uint64, mode uint32) syscall.Errno {
	const keepSize = 1
	if mode&^keepSize != 0 {
		return syscall.EOPNOTSUPP
	}
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	errno := h.LoopbackFile.Allocate(ctx, at, size, mode)
	var out fuse.AttrOut
	if errno == 0 && mode == 0 && h.Getattr(ctx, &out) == 0 && out.Size == at+size {
		h.fs.add(Op{Kind: Truncate, Inode: h.id, At: int64(out.Size)})
	}
	return errno
}

// PassthroughFd keeps the kernel from writing past the trace.
func (h *handle) PassthroughFd() (int, bool) { return 0, false }

// Ioctl knows none, such as one that shares the blocks of two files.
func (h *handle) Ioctl(context.Context, uint32, uint64, []byte, []byte) (int32, syscall.Errno) {
	return 0, syscall.ENOTTY
}
