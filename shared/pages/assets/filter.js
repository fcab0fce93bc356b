// Finds animals by tag, name or number, and can leave out those that are done.
export function start(form) {
  const find = form.querySelector('[type=search]')
  const open = form.querySelector('[data-open-only]')
  const apply = () => {
    const words = find.value.toLocaleLowerCase().split(/\s+/).filter(Boolean)
    for (const animal of document.querySelectorAll('[data-find]')) {
      const isWanted = words.every((word) => animal.dataset.find.includes(word))
      animal.hidden = !isWanted || (open.checked && animal.dataset.phase === 'done')
    }
  }
  form.oninput = apply
  form.onsubmit = (event) => event.preventDefault()
  document.addEventListener('refreshed', apply)
  form.hidden = false
  apply()
}
