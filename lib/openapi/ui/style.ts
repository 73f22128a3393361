/** Style of the panel, legible on light and dark pages: it takes the colors of the page, or brings text and background together. */
export const style = `
.swagger-ui .session-panel .session-state { width: fit-content; margin: 0 0 10px; font-weight: 700; }
.swagger-ui .session-panel .session-state::before {
  content: ""; display: inline-block; width: .6em; height: .6em; margin-right: .5em; border-radius: 50%; background: #8a8a8a;
}
.swagger-ui .session-panel .session-state[data-phase="in"]::before { background: #2f9e6a; }
.swagger-ui .session-panel .session-field { margin: 0 0 14px; max-width: 420px; }
.swagger-ui .session-panel .session-field label { display: block; margin: 0 0 4px; }
.swagger-ui .session-panel .session-field :is(input, select, textarea) { min-width: 0; margin: 0; }
.swagger-ui .session-panel .session-field :is(input:not([type="checkbox"]), textarea, select) { width: 100%; max-width: none; box-sizing: border-box; }
.swagger-ui .session-panel .session-field :is([type="email"], [type="number"]) {
  padding: 8px 10px; border: 1px solid; border-radius: 4px; background: transparent; color: inherit;
}
.swagger-ui .session-panel .session-field :is(input, select, textarea) { border-color: #767c80; }
.swagger-ui .session-panel .session-field [aria-invalid="true"] { border-color: #e5484d; }
.swagger-ui .session-panel .session-about { margin: 0 0 14px; font-size: 12px; }
.swagger-ui .session-panel .session-about summary { cursor: pointer; }
.swagger-ui .session-panel .session-optional { font-weight: 400; }
.swagger-ui .session-panel .session-help { margin: 4px 0 0; font-size: 12px; opacity: .8; }
.swagger-ui .session-panel .session-error p, .swagger-ui .session-panel .session-missing, .swagger-ui .session-panel .session-note {
  margin: 0 0 12px; padding: 8px 12px; border-left: 4px solid #c9252d; background: rgba(201, 37, 45, .08);
}
.swagger-ui .session-panel :is(.session-missing, .session-note) { border-color: #c77700; background: rgba(199, 119, 0, .1); }
.swagger-ui .session-panel .session-answer { display: grid; grid-template-columns: max-content 1fr; gap: 4px 16px; margin: 0 0 14px; font-size: 14px; }
.swagger-ui .session-panel .session-answer dt { font-weight: 700; }
.swagger-ui .session-panel .session-answer dd { margin: 0; overflow-wrap: anywhere; }
.swagger-ui .auth-container form:has(.session-panel[data-buttons="none"]) .auth-btn-wrapper .btn:not(.btn-done) { display: none; }
.swagger-ui .session-dialog .auth-container form:has(.session-panel) .btn.modal-btn.authorize { border-color: #17794c; background: #17794c; color: #fff; }
.swagger-ui .session-role-lock { position: relative; display: inline-flex; }
.swagger-ui .session-role-lock svg { opacity: 1; }
.swagger-ui .session-role-lock::after {
  content: "!"; position: absolute; right: 1px; bottom: -5px; width: 14px; border-radius: 50%; background: #a15c00; color: #fff;
  font: 700 11px/14px sans-serif; text-align: center; pointer-events: none;
}
.swagger-ui .session-dialog { width: 100%; max-width: none; height: 100%; max-height: none; padding: 0; border: 0; background: none; color: inherit; }
.swagger-ui .session-dialog .modal-ux-content { max-height: min(540px, 100vh - 80px); max-height: min(540px, 100dvh - 80px); box-sizing: border-box; }
.swagger-ui .session-dialog::backdrop { display: none; }
.swagger-ui .session-state:focus { outline: none; }
.swagger-ui .session-state:focus-visible { outline: 2px solid currentColor; outline-offset: 4px; }
.session-announcer { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
`.trimStart()
