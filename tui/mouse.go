package tui

import (
	tea "charm.land/bubbletea/v2"
)

// mouse obeys the wheel and clicks: on the tabs, and on lines of the place.
func (m *Model) mouse(msg tea.MouseMsg) tea.Cmd {
	at := msg.Mouse()
	if m.question != nil || m.input != nil || m.overlay != nil {
		return nil
	}
	switch msg.(type) {
	case tea.MouseWheelMsg:
		switch at.Button {
		case tea.MouseWheelUp:
			return m.top().move(m, motion{lines: -3})
		case tea.MouseWheelDown:
			return m.top().move(m, motion{lines: 3})
		}
	case tea.MouseClickMsg:
		if at.Button != tea.MouseLeft {
			return nil
		}
		if at.Y == 0 {
			return m.clickBar(at.X)
		}
		if line := at.Y - 2; line >= 0 && line < m.body() {
			return m.top().click(m, line)
		}
	}
	return nil
}

func (m *Model) clickBar(x int) tea.Cmd {
	switch {
	case x >= 9 && x < 17:
		return m.showJobs()
	case x >= 17 && x < 26:
		return m.showHosts()
	case x >= 26:
		m.back()
	}
	return nil
}
