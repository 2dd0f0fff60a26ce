//go:build linux

package serve

import (
	"testing"
	"testing/synctest"
	"time"
)

// send spends all room that there is and returns how far it came.
func send(c *credit, offset int64) int64 {
	for room := c.room(offset); room > 0; room = c.room(offset) {
		offset += room
		c.spent(offset)
	}
	return offset
}

func TestWindowGrowsWhileAcknowledgementsAreQuick(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, offset := newCredit(), int64(0)
		if offset = send(c, 0); offset != firstWindow {
			t.Errorf("%d bytes went without acknowledgement", offset)
		}
		for range 20 {
			time.Sleep(50 * time.Millisecond)
			c.acknowledge(offset)
			offset = send(c, offset)
		}
		if c.window != maxWindow {
			t.Errorf("the window is %d", c.window)
		}
	})
}

func TestWindowShrinksWhenAcknowledgementsAreLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCredit()
		offset := send(c, 0)
		time.Sleep(10 * time.Millisecond)
		c.acknowledge(offset)
		for range 20 {
			offset = send(c, offset)
			time.Sleep(maxDelay + 11*time.Millisecond)
			c.acknowledge(offset)
		}
		if c.window != minWindow {
			t.Errorf("the window is %d", c.window)
		}
	})
}

func TestWhatIsLeftOutCostsNoCredit(t *testing.T) {
	t.Parallel()
	c := newCredit()
	c.begin(0)
	if c.room(1<<40) == 0 {
		t.Error("a filtered log waits for an acknowledgement that never comes")
	}
}

// Between the write of a piece and the note of it the client may have it, and answer.
func TestAnAnswerThatIsQuickerThanTheNote(t *testing.T) {
	t.Parallel()
	c := newCredit()
	c.begin(0)
	c.window = minWindow // it shrank while the piece was written
	const end = 4 * minWindow
	c.acknowledge(end)
	c.spent(end)
	if c.room(end) == 0 {
		t.Error("the client waits for the log, and the log for the client")
	}
}
