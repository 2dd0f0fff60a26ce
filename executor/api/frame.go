package api

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// FrameType says what a frame carries. The numbers cross the wire: append only.
type FrameType uint8

// The frames of a stream. The client opens with Submit, Follow or Watch; everything else follows
// from that. The same frames run between the daemon and a supervisor's control socket.
const (
	FrameError         FrameType = 1  // Error; the stream ends
	FrameSubmit        FrameType = 2  // → Submit
	FramePack          FrameType = 3  // → bytes of an inline pack
	FramePackEnd       FrameType = 4  // → nothing
	FrameFollow        FrameType = 5  // → Follow
	FrameMissing       FrameType = 6  // ← Missing
	FrameAccepted      FrameType = 7  // ← Accepted
	FrameState         FrameType = 8  // ← JobInfo, whenever it changes
	FrameLog           FrameType = 9  // ← LogHeader and bytes
	FrameLogAck        FrameType = 10 // → offset up to which the client has consumed the log
	FrameResult        FrameType = 11 // ← Result
	FrameArtifactStart FrameType = 12 // ← ArtifactStart
	FrameArtifactData  FrameType = 13 // ← bytes
	FrameArtifactEnd   FrameType = 14 // ← nothing
	FrameEnd           FrameType = 15 // ← nothing more comes
	FrameStdin         FrameType = 16 // → offset and bytes
	FrameStdinEnd      FrameType = 17 // → offset at which the input ends
	FrameStdinAck      FrameType = 18 // ← offset up to which the job's input pipe has taken it
	FrameSignal        FrameType = 19 // → Signal
	FrameResize        FrameType = 20 // → Resize
	FramePing          FrameType = 21 // either way; answered by Pong with the same payload
	FramePong          FrameType = 22
	FrameCancel        FrameType = 23 // → CancelRequest
	FrameControl       FrameType = 24 // ← ControlHello; first frame of a supervisor
	FrameGrew          FrameType = 25 // ← new size of the log
	FrameStdinClosed   FrameType = 26 // ← the job takes no more input, or none of this client; nothing is wrong
	FrameStdinTake     FrameType = 27 // → StdinTake; the daemon's word to a supervisor, for the client whose Follow names an input
	FrameStdinOwner    FrameType = 28 // ← StdinOwner, after each StdinTake
	FrameWatch         FrameType = 29 // → nothing; opens a stream that tells of all jobs
	FrameNews          FrameType = 30 // ← News
	FrameLogPage       FrameType = 31 // ← LogPage, behind the Log frames of PathLog
)

// MaxFrame is the largest payload of a frame in bytes.
const MaxFrame = 1 << 20

// StdinWindow is how many bytes of input may be under way before the supervisor has acknowledged them.
const StdinWindow = 64 << 10

const frameHeader = 8 // type, three zero bytes, length

// Frame is one message of a stream.
type Frame struct {
	Type    FrameType
	Payload []byte
}

// JSON decodes the payload into v.
func (f Frame) JSON(v any) error {
	if err := json.Unmarshal(f.Payload, v); err != nil {
		return Errorf(Invalid, "", "unable to read frame of type %d: %w", f.Type, err)
	}
	return nil
}

// Offset decodes a payload that begins with an offset and returns what follows it.
func (f Frame) Offset() (int64, []byte, error) {
	if len(f.Payload) < 8 {
		return 0, nil, Errorf(Invalid, "", "unable to read frame of type %d: %d bytes hold no offset", f.Type, len(f.Payload))
	}
	off := int64(binary.BigEndian.Uint64(f.Payload))
	if off < 0 {
		return 0, nil, Errorf(Invalid, "", "unable to read frame of type %d: offset %d", f.Type, off)
	}
	return off, f.Payload[8:], nil
}

// ReadFrame reads one frame into buf if it is large enough; the payload is valid until buf is
// used again. io.EOF means that the stream ended between frames.
func ReadFrame(r io.Reader, buf []byte) (Frame, error) {
	var h [frameHeader]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return Frame{}, fmt.Errorf("unable to read frame header: %w", err)
		}
		return Frame{}, err
	}
	n := int(binary.BigEndian.Uint32(h[4:]))
	if h[1]|h[2]|h[3] != 0 || n > MaxFrame {
		return Frame{}, Errorf(Invalid, "", "unable to read frame: header % x is none of ours", h[:])
	}
	if n > len(buf) {
		buf = make([]byte, n)
	}
	if _, err := io.ReadFull(r, buf[:n]); err != nil {
		return Frame{}, fmt.Errorf("unable to read %d bytes of a frame: %w", n, err)
	}
	return Frame{Type: FrameType(h[0]), Payload: buf[:n]}, nil
}

// FrameWriter writes frames to one stream from several goroutines.
type FrameWriter struct {
	mu  sync.Mutex
	w   io.Writer
	buf []byte
}

// NewFrameWriter returns a FrameWriter on w.
func NewFrameWriter(w io.Writer) *FrameWriter { return &FrameWriter{w: w} }

// Write sends one frame whose payload is the parts, one after another, in a single write.
func (fw *FrameWriter) Write(t FrameType, parts ...[]byte) error {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	if n > MaxFrame {
		return fmt.Errorf("unable to write frame of type %d: %d bytes are more than %d", t, n, MaxFrame)
	}
	fw.mu.Lock()
	defer fw.mu.Unlock()
	fw.buf = append(fw.buf[:0], byte(t), 0, 0, 0)
	fw.buf = binary.BigEndian.AppendUint32(fw.buf, uint32(n))
	for _, p := range parts {
		fw.buf = append(fw.buf, p...)
	}
	_, err := fw.w.Write(fw.buf)
	return err
}

// JSON sends v as one frame.
func (fw *FrameWriter) JSON(t FrameType, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("unable to write frame of type %d: %w", t, err)
	}
	return fw.Write(t, data)
}

// Offset sends an offset and data as one frame.
func (fw *FrameWriter) Offset(t FrameType, off int64, data []byte) error {
	return fw.Write(t, binary.BigEndian.AppendUint64(nil, uint64(off)), data)
}

// Error sends err as the last frame of a stream.
func (fw *FrameWriter) Error(err error) error {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Kind: Internal, Message: err.Error()}
	}
	return fw.JSON(FrameError, e)
}

// The streams of a log.
const (
	StreamUnknown uint8 = 0 // recovered bytes that no index record covers
	Stdout        uint8 = 1
	Stderr        uint8 = 2
)

// LogChunk is a piece of a log: bytes of one stream that arrived together.
type LogChunk struct {
	Offset int64 // in the log
	Time   int64 // Unix nanoseconds, by the host's clock
	Stream uint8
	Data   []byte
}

const logHeader = 8 + 8 + 1

// MaxLogData is how many bytes of a log fit into one frame.
const MaxLogData = MaxFrame - logHeader

// Log sends one chunk, of at most MaxLogData bytes.
func (fw *FrameWriter) Log(c LogChunk) error {
	var h [logHeader]byte
	binary.BigEndian.PutUint64(h[0:], uint64(c.Offset))
	binary.BigEndian.PutUint64(h[8:], uint64(c.Time))
	h[16] = c.Stream
	return fw.Write(FrameLog, h[:], c.Data)
}

// Log decodes a FrameLog.
func (f Frame) Log() (LogChunk, error) {
	if len(f.Payload) < logHeader {
		return LogChunk{}, Errorf(Invalid, "", "unable to read log frame: %d bytes", len(f.Payload))
	}
	c := LogChunk{
		Offset: int64(binary.BigEndian.Uint64(f.Payload)),
		Time:   int64(binary.BigEndian.Uint64(f.Payload[8:])),
		Stream: f.Payload[16],
		Data:   f.Payload[logHeader:],
	}
	if c.Offset < 0 || c.Stream > Stderr {
		return LogChunk{}, Errorf(Invalid, "", "unable to read log frame: offset %d, stream %d", c.Offset, c.Stream)
	}
	return c, nil
}

// ControlHello is the first frame on a supervisor's control socket. Behind it come State (once
// at once, then on every change), Grew, StdinAck and StdinClosed; the daemon sends Stdin,
// StdinEnd, StdinTake (answered by StdinOwner), Signal, Resize and Cancel. The supervisor closes the socket after the manifest is durable.
type ControlHello struct {
	Control int    `json:"control"` // ControlVersion
	Job     string `json:"job"`
	PID     int    `json:"pid"`
	Stdin   int64  `json:"stdin"` // bytes of input taken so far
}
