package views

import (
	"strconv"

	"trackside/store"
)

// iconMost is the largest count that fits the icon.
const iconMost = 9

// Icon draws the tab's icon: how many runners are failing, "9+" beyond nine, and when none is, the mark of the worst health.
func Icon(n int, worst store.Health) []byte {
	if n > 0 {
		text := strconv.Itoa(n)
		if n > iconMost {
			text = strconv.Itoa(iconMost) + "+"
		}
		return iconSVG(`<rect x="1" y="1" width="30" height="30" rx="7" fill="#c62f2a"/>` +
			`<text x="16" y="23.5" text-anchor="middle" font-family="system-ui,sans-serif" font-size="21" font-weight="700" fill="#fff">` + text + `</text>`)
	}
	switch worst {
	case store.Degraded:
		return iconSVG(`<path d="M16 4 30 28H2Z" fill="#c98a12" stroke="#c98a12" stroke-width="2" stroke-linejoin="round"/>`)
	case store.Unknown:
		return iconSVG(`<path d="M16 4 28 16 16 28 4 16Z" fill="none" stroke="#8278a8" stroke-width="4" stroke-linejoin="round"/>`)
	case store.Unhealthy:
		return iconSVG(`<rect x="3" y="3" width="26" height="26" rx="5" fill="#c62f2a"/>`)
	case store.Healthy:
	}
	return iconSVG(`<circle cx="16" cy="16" r="12" fill="none" stroke="#5b9a78" stroke-width="4"/><circle cx="16" cy="16" r="4" fill="#5b9a78"/>`)
}

func iconSVG(body string) []byte {
	return []byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">` + body + `</svg>`)
}
