/** @import { System } from './types.js' */

const FOCUSABLE = 'a[href], button:not([disabled]), input:not([disabled]), select:not([disabled]), textarea:not([disabled])'

/**
 * Makes Swagger UI's popup a dialog (ARIA Authoring Practices, "Dialog (Modal)"): it has a name, takes the focus, keeps
 * it, closes on Escape and gives the focus back to the button that opened it.
 * @param {System} system
 * @param {any} Original
 */
export function dialog ({ React, getSystem }, Original) {
  /** @param {object} props */
  return function SessionDialog (props) {
    const root = React.useRef(/** @type {HTMLElement | null} */ (null))
    const [opener] = React.useState(() => document.activeElement)
    React.useEffect(() => {
      const element = root.current
      if (element === null) return
      element.querySelector('.close-modal')?.setAttribute('aria-label', 'Close')
      const first = element.querySelector('.modal-ux-content :is(input, select, textarea, .session-panel > p a)') ?? element.querySelector('.session-state') ?? element
      if (!element.contains(document.activeElement) && first instanceof HTMLElement) first.focus()
      const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
        if (event.key === 'Escape') getSystem().authActions.showDefinitions(false)
        if (event.key === 'Tab') keepInside(element, event)
      }
      document.addEventListener('keydown', onKeyDown)
      return () => {
        document.removeEventListener('keydown', onKeyDown)
        if (opener instanceof HTMLElement) opener.focus()
      }
    }, [])
    const modal = { role: 'dialog', 'aria-modal': true, 'aria-label': 'Available authorizations', tabIndex: -1 }
    return React.createElement('div', { ref: root, className: 'session-dialog', ...modal }, React.createElement(Original, props))
  }
}

/**
 * @param {HTMLElement} element
 * @param {KeyboardEvent} event
 */
function keepInside (element, event) {
  // Hidden buttons have no boxes and cannot take the focus.
  const stops = [...element.querySelectorAll(FOCUSABLE)].filter((stop) => stop.getClientRects().length > 0)
  const ahead = event.shiftKey ? Node.DOCUMENT_POSITION_PRECEDING : Node.DOCUMENT_POSITION_FOLLOWING
  const active = document.activeElement
  if (element.contains(active) && stops.some((stop) => ((active?.compareDocumentPosition(stop) ?? 0) & ahead) !== 0)) return
  event.preventDefault()
  const target = event.shiftKey ? stops.at(-1) : stops[0]
  if (target instanceof HTMLElement) target.focus()
}
