// Puts a part of the page into a state: what is marked `data-when="STATE ..."` is shown in those states only.
export function show(root, state) {
  root.dataset.state = state
  for (const element of root.querySelectorAll('[data-when]')) {
    element.hidden = !element.dataset.when.split(' ').includes(state)
  }
}
