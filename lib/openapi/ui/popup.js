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
    const attributes = { ref: root, className: 'session-dialog', 'aria-label': 'Available authorizations', onCancel, onKeyDown: goRound }
    return React.createElement('dialog', attributes, React.createElement(Original, props))
  }
}

/**
 * Keeps Tab within the dialog, whose first and last stops are buttons that close it. The browser would go on to its own buttons.
 * @param {KeyboardEvent & { currentTarget: HTMLElement }} event
 */
function goRound (event) {
  const stops = [...event.currentTarget.querySelectorAll('button')]
  const [end, start] = event.shiftKey ? [stops.at(0), stops.at(-1)] : [stops.at(-1), stops.at(0)]
  if (event.key !== 'Tab' || document.activeElement !== end) return
  event.preventDefault()
  start?.focus()
}
