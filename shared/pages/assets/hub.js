// What the hub's pages do beyond their forms: they show what changes while it does.

import { follow } from './live.js'

if (document.querySelector('[data-live]')) follow('', document.body.dataset.after, () => {})
