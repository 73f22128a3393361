/** @import { System } from './types.js' */

/**
 * Makes a modal dialog of Swagger UI's popup. It has a name, takes the focus, closes on Escape and returns the focus to the button that
 * opened it.
 * @type {(system: System, Original: any) => (props: object) => any}
 */
export function dialog ({ React, getSystem }, Original) {
  return function SessionDialog (props) {
    const root = React.useRef(/** @type {HTMLDialogElement | null} */ (null))
    React.useLayoutEffect(() => {
      const element = root.current
      element?.showModal()
      element?.querySelector('.close-modal')?.setAttribute('aria-label', 'Close')
      const first = element?.querySelector('.modal-ux-content :is(input, select, textarea, .session-panel > p a)') ?? element?.querySelector('.session-state')
      if (first instanceof HTMLElement) first.focus()
      return () => element?.close()
    }, [])
    const onCancel = (/** @type {Event} */ event) => {
      event.preventDefault()
      getSystem().authActions.showDefinitions(false)
    }
    const attributes = { ref: root, className: 'session-dialog', 'aria-label': 'Available authorizations', onCancel, onKeyDown: keepFocusInside }
    return React.createElement('dialog', attributes, React.createElement(Original, props))
  }
}

/**
 * Keeps the focus inside the dialog when Tab is pressed on its first or last button. Otherwise it would move to the browser's own buttons.
 * @param {KeyboardEvent & { currentTarget: HTMLElement }} event
 */
function keepFocusInside (event) {
  const stops = [...event.currentTarget.querySelectorAll('button')]
  const [end, start] = event.shiftKey ? [stops.at(0), stops.at(-1)] : [stops.at(-1), stops.at(0)]
  if (event.key !== 'Tab' || document.activeElement !== end) return
  event.preventDefault()
  start?.focus()
}
