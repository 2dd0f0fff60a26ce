package pack

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"hash"
	"io"
	"runtime"
	"slices"

	"github.com/cyclops-fpga/cyclops/manifest"
)

// Verify opens a pack and checks every byte of it: the digest in the footer, each frame and
// each object's digest. It returns the digest of the whole file. Memory is bounded by a few
// frames and the index.
func Verify(ctx context.Context, file io.ReaderAt, size int64) (*Reader, manifest.Sum, error) {
	r, err := Open(file, size)
	if err != nil {
		return nil, manifest.Sum{}, err
	}
	v := verifier{pack: r, file: sha256.New(), object: sha256.New()}
	if err := v.plan(); err != nil {
		return nil, manifest.Sum{}, err
	}
	if err := v.frames(ctx); err != nil {
		return nil, manifest.Sum{}, err
	}
	sum, err := v.footer()
	return r, sum, err
}

type verifier struct {
	pack    *Reader
	file    hash.Hash
	object  hash.Hash // of the bytes of objects[0] so far
	objects []Object  // not yet verified, by offset
}

// plan orders the objects. They must not overlap: else a small file could name much to hash.
func (v *verifier) plan() error {
	v.objects = v.pack.InOrder()
	end := int64(0)
	for _, o := range v.objects {
		if o.Size == 0 {
			continue
		}
		if o.Offset < end {
			return formatErrorf("object %.12s overlaps another", o.Sum)
		}
		end = o.Offset + o.Size
	}
	return nil
}

// InOrder returns the objects in the order of their bytes: the fast order to read them in.
func (r *Reader) InOrder() []Object {
	all := slices.AppendSeq(make([]Object, 0, r.Len()), r.Objects())
	slices.SortFunc(all, func(a, b Object) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Size, b.Size), bytes.Compare(a.Sum[:], b.Sum[:]))
	})
	return all
}

// unzip is one frame being read and decoded.
type unzip struct {
	packed, data []byte
	err          error
	done         chan struct{}
}

// frames decodes ahead in a few goroutines, of which none is left when it returns.
func (v *verifier) frames(ctx context.Context) (err error) {
	var ahead []*unzip
	next, depth := 0, runtime.GOMAXPROCS(0)+1
	defer func() {
		for _, u := range ahead {
			<-u.done
		}
	}()
	for done := range v.pack.frames {
		if err := ctx.Err(); err != nil {
			return err
		}
		for ; next < len(v.pack.frames) && len(ahead) < depth; next++ {
			ahead = append(ahead, v.start(next))
		}
		u := ahead[0]
		<-u.done
		ahead = ahead[1:]
		if u.err != nil {
			return u.err
		}
		v.file.Write(u.packed)
		if err := v.consume(v.pack.frames[done], u.data); err != nil {
			return err
		}
	}
	return v.consume(frame{raw: v.pack.raw}, nil)
}

func (v *verifier) start(i int) *unzip {
	u := &unzip{done: make(chan struct{})}
	f := v.pack.frames[i]
	go func() {
		defer close(u.done)
		u.packed = make([]byte, f.packed)
		if u.err = readAt(v.pack.file, u.packed, f.at); u.err == nil {
			u.data, u.err = v.pack.cache.decode(u.packed, i, f.size)
		}
	}()
	return u
}

// consume hashes the objects' parts that lie in one frame.
func (v *verifier) consume(f frame, data []byte) error {
	for len(v.objects) > 0 {
		o := v.objects[0]
		from, to := max(o.Offset, f.raw), min(o.Offset+o.Size, f.raw+f.size)
		if from < to {
			v.object.Write(data[from-f.raw : to-f.raw])
		}
		if o.Offset+o.Size > f.raw+f.size {
			return nil
		}
		if err := matches(o.Sum, o.Size, manifest.Sum(v.object.Sum(nil)), o.Size); err != nil {
			return err
		}
		v.object.Reset()
		v.objects = v.objects[1:]
	}
	return nil
}

// footer compares the digest and returns that of the whole file.
func (v *verifier) footer() (manifest.Sum, error) {
	v.file.Write(v.pack.index)
	v.file.Write(v.pack.footer[:footerSize-digestLen])
	want := v.pack.footer[footerSize-digestLen:]
	if got := v.file.Sum(nil); !bytes.Equal(got, want) {
		return manifest.Sum{}, formatErrorf("its bytes have digest %x, its footer says %x", got[:6], want[:6])
	}
	v.file.Write(want)
	return manifest.Sum(v.file.Sum(nil)), nil
}
