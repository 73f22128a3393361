/** Makes Swagger UI's popup a modal dialog. It takes the focus, closes on Escape and returns the focus to the button that opened it. */
export const dialog = ({ React }) => (Original) => function SessionDialog (props) {
  const root = React.useRef(null)
  React.useLayoutEffect(() => {
    const element = root.current
    element.showModal()
    element.querySelector('.close-modal')?.setAttribute('aria-label', 'Close')
    focusIn(element)
    return () => element.close()
  }, [])
  const onCancel = (event) => {
    event.preventDefault()
    props.authActions.showDefinitions(false)
  }
  const attributes = { ref: root, className: 'session-dialog', 'aria-label': 'Available authorizations', onCancel, onKeyDown: keepFocusInside }
  return React.createElement('dialog', attributes, React.createElement(Original, props))
}

/** Moves the focus to what `preferred` selects, else to a field or the link to sign in, else to the state. @param {HTMLElement} element */
export function focusIn (element, preferred = 'none') {
  const selectors = [preferred, 'input, select, textarea, .session-panel > p a', '.session-state']
  const target = selectors.map((selector) => element.querySelector(selector)).find((found) => found instanceof HTMLElement)
  target?.focus()
}

/** Keeps the focus inside the dialog when Tab is pressed on its first or last button. Otherwise the browser's own buttons get it. */
function keepFocusInside (event) {
  const stops = [...event.currentTarget.querySelectorAll('button')]
  const [end, start] = event.shiftKey ? [stops.at(0), stops.at(-1)] : [stops.at(-1), stops.at(0)]
  if (event.key !== 'Tab' || document.activeElement !== end) return
  event.preventDefault()
  start?.focus()
}
