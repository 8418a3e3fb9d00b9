// Small drawings on buttons, in the colour of the text.

const SHAPES = {
    held: '<rect x="3" y="7" width="10" height="7" rx="1.5"/><path d="M5 7V5a3 3 0 0 1 6 0v2"/>',
    free: '<rect x="3" y="7" width="10" height="7" rx="1.5"/><path d="M5 7V5a3 3 0 0 1 5.7-1.3"/>',
    places: '<circle cx="8" cy="6.5" r="1.6"/><path d="M8 14.5C5 11 3.5 8.7 3.5 6.500a4.5 4.5 0 0 1 9 0c0 2.2-1.5 4.5-4.5 8z"/>',
    screen: '<path d="M2.5 6V2.500H6M10 2.500h3.500V6M13.5 10v3.500H10M6 13.500H2.500V10"/>',
}

/** @param {HTMLElement} button @param {keyof typeof SHAPES} name */
export function setIcon(button, name) {
    if (button.dataset.icon === name) return
    button.dataset.icon = name
    button.innerHTML = `<svg viewBox="0 0 16 16" width="16" height="16" fill="none" stroke="currentColor" stroke-width="1.5" aria-hidden="true">${SHAPES[name]}</svg>`
}

/** A button with such a drawing. @param {HTMLElement} button @param {keyof typeof SHAPES} name */
export function withIcon(button, name) {
    setIcon(button, name)
    return button
}
