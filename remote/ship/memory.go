// Package ship sends what a host lacks: it remembers what each store acknowledged, plans the difference and writes the pack.
package ship

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"
	"os"
	"path/filepath"
	"slices"

	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
	"github.com/cyclops-fpga/cyclops/remote/place"
	"github.com/cyclops-fpga/cyclops/remote/scan"
)

// Slots is how many acknowledged snapshots are remembered for one store and workspace.
const Slots = 8

// memoryHeader opens the file; its last byte is the version of the format. Any other is as good as none.
const memoryHeader = "cycknown\x01"

// shortSum is how much of a digest is remembered: a wrong guess costs a round trip, never correctness.
const shortSum = 8

// Memory is what a store acknowledged for one workspace: the last snapshots, and which objects each of them has.
type Memory struct {
	file  string
	order []slot   // oldest first
	sums  []uint64 // beginnings of digests, sorted
	masks []uint8  // bit i of masks[n]: the snapshot in place i has sums[n]
}

type slot struct {
	bit  int
	root manifest.Sum
}

// Recall reads what is remembered of a store and a workspace. Nothing readable is the same as nothing known.
func Recall(dirs place.Dirs, store, workspace string) *Memory {
	key := manifest.SumOf([]byte(store + "\x00" + workspace))
	m := &Memory{file: filepath.Join(dirs.State, "known", hex.EncodeToString(key[:12]))}
	if data, err := os.ReadFile(m.file); err == nil && !m.decode(data) {
		*m = Memory{file: m.file}
	}
	return m
}

// Bases returns the remembered snapshots, the newest first.
func (m *Memory) Bases() []manifest.Digest {
	var list []manifest.Digest
	for _, s := range slices.Backward(m.order) {
		list = append(list, s.root.Digest())
	}
	return list
}

// Holds tells whether a remembered snapshot has the object.
func (m *Memory) Holds(sum manifest.Sum) bool { return m.mask(sum) != 0 }

// HoldsIn tells whether the remembered snapshot root has the object; false for one that is not remembered.
func (m *Memory) HoldsIn(root, sum manifest.Sum) bool {
	i := slices.IndexFunc(m.order, func(s slot) bool { return s.root == root })
	return i >= 0 && m.mask(sum)&(1<<m.order[i].bit) != 0
}

func (m *Memory) mask(sum manifest.Sum) uint8 {
	i, ok := slices.BinarySearch(m.sums, short(sum))
	if !ok {
		return 0
	}
	return m.masks[i]
}

func short(sum manifest.Sum) uint64 { return binary.BigEndian.Uint64(sum[:shortSum]) }

// newest returns the youngest snapshot that mask names.
func (m *Memory) newest(mask uint8) (slot, bool) {
	for _, s := range slices.Backward(m.order) {
		if mask&(1<<s.bit) != 0 {
			return s, true
		}
	}
	return slot{}, false
}

// Forget drops snapshots that the store no longer has.
func (m *Memory) Forget(roots ...manifest.Digest) error {
	var gone uint8
	m.order = slices.DeleteFunc(m.order, func(s slot) bool {
		drop := slices.Contains(roots, s.root.Digest())
		if drop {
			gone |= 1 << s.bit
		}
		return drop
	})
	if gone == 0 {
		return nil
	}
	m.clear(gone)
	return m.save()
}

// clear takes bits out of every mask, and objects that nothing names any more.
func (m *Memory) clear(mask uint8) {
	n := 0
	for i, have := range m.masks {
		if have &^= mask; have != 0 {
			m.sums[n], m.masks[n] = m.sums[i], have
			n++
		}
	}
	m.sums, m.masks = m.sums[:n], m.masks[:n]
}

// Acknowledge remembers that the store has t whole, in place of the oldest when all are taken.
func (m *Memory) Acknowledge(t *scan.Tree) error {
	last := len(m.order) - 1
	if i := slices.IndexFunc(m.order, func(s slot) bool { return s.root == t.Root }); i >= 0 {
		if i == last {
			return nil
		}
		m.order = append(slices.Delete(m.order, i, i+1), m.order[i])
		return m.save()
	}
	bit := m.freeBit()
	var sums []uint64
	err := t.Objects(nil, func(o scan.Object) error {
		sums = append(sums, short(o.Sum))
		return nil
	})
	if err != nil {
		return err
	}
	slices.Sort(sums)
	m.merge(slices.Compact(sums), 1<<bit)
	m.order = append(m.order, slot{bit, t.Root})
	return m.save()
}

// freeBit returns a place, giving up the oldest snapshot when there is none.
func (m *Memory) freeBit() int {
	used := uint8(0)
	for _, s := range m.order {
		used |= 1 << s.bit
	}
	if len(m.order) == Slots {
		oldest := m.order[0]
		m.order = m.order[1:]
		m.clear(1 << oldest.bit)
		return oldest.bit
	}
	return bits.TrailingZeros8(^used)
}

// merge adds sorted sums under mask.
func (m *Memory) merge(add []uint64, mask uint8) {
	sums := make([]uint64, 0, len(m.sums)+len(add)/8)
	masks := make([]uint8, 0, cap(sums))
	i := 0
	for _, s := range add {
		for i < len(m.sums) && m.sums[i] < s {
			sums, masks = append(sums, m.sums[i]), append(masks, m.masks[i])
			i++
		}
		have := mask
		if i < len(m.sums) && m.sums[i] == s {
			have |= m.masks[i]
			i++
		}
		sums, masks = append(sums, s), append(masks, have)
	}
	m.sums, m.masks = append(sums, m.sums[i:]...), append(masks, m.masks[i:]...)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (m *Memory) encode() []byte {
	data := make([]byte, 0, 64+len(m.order)*33+len(m.sums)*9)
	data = append(append(data, memoryHeader...), byte(len(m.order)))
	for _, s := range m.order {
		data = append(append(data, byte(s.bit)), s.root[:]...)
	}
	for _, s := range m.sums {
		data = binary.BigEndian.AppendUint64(data, s)
	}
	data = append(data, m.masks...)
	return binary.BigEndian.AppendUint32(data, crc32.Checksum(data, castagnoli))
}

// decode reads what encode wrote and tells whether it was that.
func (m *Memory) decode(data []byte) bool {
	body, ok := bytes.CutPrefix(data, []byte(memoryHeader))
	if !ok || len(body) < 5 || crc32.Checksum(data[:len(data)-4], castagnoli) != binary.BigEndian.Uint32(data[len(data)-4:]) {
		return false
	}
	n, body := int(body[0]), body[1:len(body)-4]
	if n > Slots || len(body) < n*33 || (len(body)-n*33)%9 != 0 {
		return false
	}
	for range n {
		m.order = append(m.order, slot{int(body[0]) % Slots, manifest.Sum(body[1:33])})
		body = body[33:]
	}
	m.sums = make([]uint64, len(body)/9)
	for i := range m.sums {
		m.sums[i] = binary.BigEndian.Uint64(body[i*8:])
	}
	m.masks = body[len(m.sums)*8:]
	return slices.IsSortedFunc(m.sums, func(a, b uint64) int { return cmp.Compare(a, b) })
}

// save replaces the file, all or nothing. It is not synced: a checksum tells a torn one.
func (m *Memory) save() error {
	dir := filepath.Dir(m.file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("unable to remember what the host has: %w", err)
	}
	f, err := os.CreateTemp(dir, "new-")
	if err == nil {
		err = failpoint.Do(failpoint.ClientMemory, func() error { _, err := f.Write(m.encode()); return err })
		if err = errors.Join(err, f.Close()); err == nil {
			err = os.Rename(f.Name(), m.file)
		}
		if err != nil {
			os.Remove(f.Name())
		}
	}
	if err != nil {
		return fmt.Errorf("unable to remember what the host has: %w", err)
	}
	return nil
}
